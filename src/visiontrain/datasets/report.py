"""What is known about a dataset after reading it: what the person sees, and what later steps start from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from visiontrain.protocol.tasks import Task

__all__ = ["MAX_FILES", "DatasetReport", "IndexedDataset", "Problem", "Severity"]

Severity = Literal["error", "warning", "note"]

#: Files that a problem names; its `count` says how many there are.
MAX_FILES = 20


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(_Frozen):
    """Something about the data that the person should know.

    Args:
        severity: An ``error`` keeps the data from being trained on, a ``warning`` may spoil the result, a ``note`` says
            what was done.
        code: A stable name to test for, such as ``unreadable`` or ``split-carved``.
        message: One or two sentences.
        files: Up to `MAX_FILES` files or folders, relative to the root, sorted; bytes that are not UTF-8 as escapes.
        reasons: What is wrong with each of `files`; empty where the message says it for all of them.
        count: Number of files or classes concerned.
    """

    severity: Severity
    code: str
    message: str
    files: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    count: int = 0

    def __str__(self) -> str:
        lines = [self.message]
        for number, name in enumerate(self.files):
            lines.append(f"  {name}: {self.reasons[number]}" if self.reasons else f"  {name}")
        if self.files and self.count > len(self.files):
            lines.append(f"  and {self.count - len(self.files):,} more")
        return "\n".join(lines)


class DatasetReport(_Frozen):
    """What a dataset holds, and what is odd about it.

    Args:
        root: The data's folder, absolute.
        source: What says what there is, absolute: a file that lists it, or the folder itself.
        format: The layout's name.
        task: The task that the data is read for.
        tasks: All that it could be read for.
        multi_label: Whether an image may have any number of classes, instead of one.
        splits: Number of readable images by split: train, val and, where there is one, test.
        classes: Number of readable images by class and split, in the order of the class indices; where images have
            objects, that of objects; where they have masks, that of images whose mask shows the class.
        objects: Number of objects by split; empty where images have none.
        pixel_shares: Share of each class, from 0 to 1, among the pixels of a split's masks that are of any class, by
            class and split; empty where images have no masks.
        problems: Errors first, then warnings, then notes.
    """

    root: Path
    source: Path
    format: str
    task: Task
    tasks: tuple[Task, ...]
    multi_label: bool
    splits: dict[str, int]
    classes: dict[str, dict[str, int]]
    objects: dict[str, int]
    pixel_shares: dict[str, dict[str, float]] = {}
    problems: tuple[Problem, ...]

    def of(self, severity: Severity) -> tuple[Problem, ...]:
        """The problems of one severity."""
        return tuple(problem for problem in self.problems if problem.severity == severity)

    @property
    def trainable(self) -> bool:
        """Whether no problem is an error."""
        return not self.of("error")


class IndexedDataset(_Frozen):
    """A dataset whose index is on disk.

    Args:
        path: The index's file; `visiontrain.datasets.index.DatasetIndex` reads it.
        root: The data's folder, absolute.
        source: What says what there is, absolute: a file that lists it, or the folder itself.
        format: The layout's name.
        task: The task that the data was read for.
        tasks: All that it could be read for.
        multi_label: Whether an image may have any number of classes, instead of one.
        fingerprint: SHA-256 (64 hex digits) over names, contents, splits, labels, classes and task; not over the root.
        splits: Number of images by split.
        classes: Class names by class index.
        report: What was found while reading.
        uncommon: Number of files of formats that one Pillow may read and another not.
        carved: Whether val was taken from train, because the data has no val split of its own.
    """

    path: Path
    root: Path
    source: Path
    format: str
    task: Task
    tasks: tuple[Task, ...]
    multi_label: bool
    fingerprint: str
    splits: dict[str, int]
    classes: tuple[str, ...]
    report: DatasetReport
    uncommon: int = 0
    carved: bool = False
