"""What is odd about a dataset: one function a question, each a query on the survey's images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from visiontrain.datasets.formats.base import LeftOut
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.report import MAX_FILES, DatasetReport, Problem, Severity
from visiontrain.datasets.survey import VAL_SHARE, Survey

__all__ = ["SKIPPABLE", "TRAINING_ALONE", "make_report"]

#: Errors that are warnings where unreadable images are to be left out.
SKIPPABLE = frozenset({"unreadable", "unreadable-folder", "missing-images"})

#: Errors that keep data from being trained on, and not from being evaluated on.
TRAINING_ALONE = frozenset({"too-few-classes", "empty-split"})

_IMBALANCE = 10  # the largest class to the smallest
_TINY = 16  # pixels, of the shorter side
_PLAIN_MODES = ("RGB", "L")
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


def make_report(survey: Survey, *, batch_size: int | None, skip_unreadable: bool) -> DatasetReport:
    """Count a survey's images and look for problems.

    Args:
        survey: The dataset as it was read.
        batch_size: Images of a training batch, if it is known already.
        skip_unreadable: Unreadable files are left out with a warning, instead of being an error.
    """
    rows = survey.staging.rows(
        "SELECT class.name, split, COUNT(*) FROM label JOIN kept ON kept.id = label.image"
        " JOIN class ON class.id = label.class GROUP BY class.id, split"
        if survey.multi_label
        else "SELECT class.name, split, COUNT(*) FROM kept JOIN class ON class.id = kept.class GROUP BY class.id, split"
    )
    names = sorted({name for name, _, _ in rows})
    sizes = dict(survey.staging.rows("SELECT split, COUNT(*) FROM kept GROUP BY split"))
    totals = {split: sizes[split] for split in ("train", "val", "test") if split in sizes}
    counts = {(name, split): count for name, split, count in rows}
    classes = {name: {split: counts.get((name, split), 0) for split in totals} for name in names}
    problems = [
        *_unreadable(survey, "warning" if skip_unreadable else "error"),
        *_left_out(survey),
        *_structure(survey, classes, totals),
        *_several_labels(survey),
        *_balance(classes, totals, batch_size),
        *_contents(survey),
        *_appearance(survey),
    ]
    problems.sort(key=lambda problem: _SEVERITIES.index(problem.severity))
    return DatasetReport(
        root=Path(survey.root),
        source=Path(survey.source),
        format=survey.format,
        task=survey.task,
        multi_label=survey.multi_label,
        splits=totals,
        classes=classes,
        problems=tuple(problems),
    )


def _unreadable(survey: Survey, severity: Severity) -> Iterator[Problem]:
    staging = survey.staging
    ((count,),) = staging.rows("SELECT COUNT(*) FROM image WHERE reason IS NOT NULL")
    if count:
        rows = staging.rows("SELECT path, reason FROM image WHERE reason IS NOT NULL ORDER BY path LIMIT ?", MAX_FILES)
        left_out = "; left out" if severity == "warning" else ""
        yield Problem(
            severity=severity,
            code="unreadable",
            message=f"{_number(count, 'image')} can't be read{left_out}:",
            files=_shown(rows),
            reasons=tuple(reason for _, reason in rows),
            count=count,
        )
    yield from _paths_left_out(
        survey, "denied", "unreadable-folder", "can't be opened", severity=severity, noun="folder"
    )
    message = f"named in {_name(survey.source)} can't be found; paths are taken from {printable(survey.root)}"
    yield from _paths_left_out(survey, "missing", "missing-images", message, severity=severity, noun="image")


def _left_out(survey: Survey) -> Iterator[Problem]:
    for why, severity, code, noun, message in _LEFT_OUT:
        yield from _paths_left_out(survey, why, code, message, severity=severity, noun=noun)


_LEFT_OUT: tuple[tuple[LeftOut, Severity, str, str, str], ...] = (
    (
        "unsupported",
        "warning",
        "unsupported-images",
        "image",
        "left out: of a kind to be converted to JPEG or PNG first",
    ),
    ("loose", "warning", "loose-images", "image", "left out: outside of any class folder"),
    ("folder", "warning", "ignored-folders", "folder", "left out: beside the splits"),
    ("repeated", "warning", "repeated-rows", "row", "left out: another row said the same"),
    ("other", "note", "ignored-files", "file", "left out: no image"),
)


def _paths_left_out(
    survey: Survey, why: LeftOut, code: str, message: str, *, severity: Severity, noun: str
) -> Iterator[Problem]:
    ((count,),) = survey.staging.rows("SELECT COUNT(*) FROM left_out WHERE why = ?", why)
    if count:
        rows = survey.staging.rows(
            "SELECT path, reason FROM left_out WHERE why = ? ORDER BY path LIMIT ?", why, MAX_FILES
        )
        reasons = tuple(reason for _, reason in rows)
        yield Problem(
            severity=severity,
            code=code,
            message=f"{_number(count, noun)} {message}:",
            files=_shown(rows),
            reasons=reasons if any(reasons) else (),
            count=count,
        )


def _structure(
    survey: Survey, classes: Mapping[str, Mapping[str, int]], totals: Mapping[str, int]
) -> Iterator[Problem]:
    if len(classes) < 2:  # noqa: PLR2004
        yield Problem(
            severity="error",
            code="too-few-classes",
            message=f"readable images of {_number(len(classes), 'class')}: two are needed"
            + (
                "; for a single label, make two classes of what has it and what has not"
                if survey.multi_label
                else " to tell one from another"
            ),
            count=len(classes),
        )
    for split in ("train", "val"):
        if not totals.get(split):
            yield Problem(severity="error", code="empty-split", message=f"the split {split} has no readable image")
    listed = {name for (name,) in survey.staging.rows("SELECT name FROM class")}
    empty = sorted(listed - classes.keys())
    if empty:
        yield Problem(
            severity="warning",
            code="empty-class",
            message=f"{_number(len(empty), 'class')} without a readable image, left out of the classes: {_some(empty)}",
            count=len(empty),
        )
    for split in totals:
        missing = [name for name, counts in classes.items() if not counts[split]]
        if missing and not (split == "val" and survey.carved is not None):
            yield Problem(
                severity="warning",
                code="class-missing-from-split",
                message=f"{split} has no image of {_number(len(missing), 'class')}: {_some(missing)}",
                count=len(missing),
            )
    if survey.carved:
        yield Problem(
            severity="note",
            code="split-carved",
            message=f"there is no val split: {VAL_SHARE:.0%} of each class in train became val, "
            f"{_number(survey.carved, 'image')} with seed {survey.seed}",
            count=survey.carved,
        )


def _several_labels(survey: Survey) -> Iterator[Problem]:
    """What a person should know of multi-label data, and of images that lie elsewhere."""
    staging = survey.staging
    if survey.multi_label:
        ((several,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE labels LIKE '%,%'")
        ((none,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE labels = ''")
        yield Problem(
            severity="note",
            code="multi-label",
            message=f"read as multi-label data: {_number(several, 'image')} with several labels, {none:,} with none",
            count=several,
        )
    ((count,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE substr(path, 1, 1) = x'2f'")
    if count:
        rows = staging.rows("SELECT path FROM kept WHERE substr(path, 1, 1) = x'2f' ORDER BY path LIMIT ?", MAX_FILES)
        yield Problem(
            severity="warning",
            code="outside-of-folder",
            message=f"{_number(count, 'image')} outside of {printable(survey.root)}: a copy of that folder lacks them:",
            files=_shown(rows),
            count=count,
        )


def _balance(
    classes: Mapping[str, Mapping[str, int]], totals: Mapping[str, int], batch_size: int | None
) -> Iterator[Problem]:
    train = {name: counts["train"] for name, counts in classes.items() if counts.get("train")}
    if not train:
        return
    single = [name for name, count in train.items() if count == 1]
    if single:
        yield Problem(
            severity="warning",
            code="single-image-class",
            message=f"{_number(len(single), 'class')} with a single image to train on: {_some(single)}",
            count=len(single),
        )
    most, least = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
    if train[most] >= _IMBALANCE * train[least]:
        yield Problem(
            severity="warning",
            code="imbalance",
            message=f"classes differ much in size in train: {most} has {_number(train[most], 'image')}, {least} has "
            f"{train[least]:,}; accuracy says little then, look at the metrics of each class",
            count=len(train),
        )
    if batch_size is not None and totals["train"] < batch_size:
        yield Problem(
            severity="warning",
            code="fewer-images-than-batch",
            message=f"train has {_number(totals['train'], 'image')}, fewer than a batch of {batch_size:,}",
            count=totals["train"],
        )


def _contents(survey: Survey) -> Iterator[Problem]:
    for code, column, message in (
        (
            "duplicates-across-splits",
            "split",
            "found in more than one split, so that the measured accuracy is too good",
        ),
        ("same-image-two-label-sets", "labels", "found with different labels")
        if survey.multi_label
        else ("same-image-two-classes", "class", "found in more than one class"),
    ):
        groups = f"SELECT sha256 FROM kept GROUP BY sha256 HAVING COUNT(DISTINCT {column}) > 1"  # noqa: S608
        ((count,),) = survey.staging.rows(f"SELECT COUNT(*) FROM ({groups})")  # noqa: S608
        if count:
            rows = survey.staging.rows(
                f"SELECT path FROM kept WHERE sha256 IN ({groups}) ORDER BY sha256, path LIMIT ?",  # noqa: S608
                MAX_FILES,
            )
            yield Problem(
                severity="warning",
                code=code,
                message=f"{_number(count, 'image')} {message}:",
                files=_shown(rows),
                count=count,
            )


def _appearance(survey: Survey) -> Iterator[Problem]:
    staging = survey.staging
    ((count,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE MIN(width, height) < ?", _TINY)
    if count:
        rows = staging.rows(
            "SELECT path FROM kept WHERE MIN(width, height) < ? ORDER BY path LIMIT ?", _TINY, MAX_FILES
        )
        message = f"{_number(count, 'image')} less than {_TINY} pixels wide or high:"
        yield Problem(severity="warning", code="tiny-images", message=message, files=_shown(rows), count=count)
    modes = staging.rows("SELECT mode, COUNT(*) FROM kept WHERE mode NOT IN (?, ?) GROUP BY mode", *_PLAIN_MODES)
    if modes:
        listed = ", ".join(f"{number:,} {mode}" for mode, number in modes)
        yield Problem(
            severity="note",
            code="colour-modes",
            message=f"images of other colour modes than RGB and grey are converted: {listed}",
            count=sum(number for _, number in modes),
        )


def _shown(rows: Sequence[tuple[bytes, ...]]) -> tuple[str, ...]:
    return tuple(printable(os.fsdecode(row[0])) for row in rows)


def _name(path: str) -> str:
    return printable(os.path.basename(path))


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else noun + ('es' if noun.endswith('s') else 's')}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_FILES:,} more" if len(names) > MAX_FILES else ""
    return ", ".join(names[:MAX_FILES]) + more
