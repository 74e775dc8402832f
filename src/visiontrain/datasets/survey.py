"""Read a dataset once: list it, decode it, give it the splits it lacks. What check and index both start from."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from visiontrain.datasets import decoder
from visiontrain.datasets.annotation import Annotation
from visiontrain.datasets.formats import choose_format
from visiontrain.datasets.formats.base import MaskFile, Split
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.pillow import Pillow, host_version
from visiontrain.datasets.probe import probe_images, probe_masks
from visiontrain.datasets.progress import IndexProgress
from visiontrain.datasets.staging import Staging
from visiontrain.datasets.tasks import choose_task
from visiontrain.errors import DatasetError, StorageError
from visiontrain.protocol.tasks import Task
from visiontrain.storage import explained

__all__ = ["VAL_SHARE", "Survey", "survey_dataset"]

#: Share of train that becomes val where the data has none.
VAL_SHARE = 0.2

_TOLD_EVERY = 1000  # files listed


@dataclass(frozen=True)
class Survey:
    """A dataset that was read.

    Args:
        root: The data's folder, absolute.
        source: What says what there is: a file in the folder, or the folder itself.
        format: The layout's name.
        task: The task that it was read for.
        tasks: All that it could be read for.
        staging: Every image with its split, class and probe.
        seed: What the carving started from.
        carved: Number of images that went from train to val; None where the data has a val split of its own.
    """

    root: str
    source: str
    format: str
    task: Task
    tasks: tuple[Task, ...]
    staging: Staging
    seed: int
    carved: int | None

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of classes, instead of one."""
        return self.staging.multi_label

    @property
    def has_objects(self) -> bool:
        """Whether images have objects, instead of classes."""
        return self.staging.annotated

    @property
    def has_masks(self) -> bool:
        """Whether images have masks that say what class each pixel is of, instead of classes."""
        return self.staging.masked


@contextlib.contextmanager
def survey_dataset(
    data: str | os.PathLike[str],
    *,
    folder: Path,
    task: Task | None,
    seed: int,
    progress: Callable[[IndexProgress], None] | None,
    others: Callable[[], Iterable[Pillow]] = tuple,
    among: Collection[Task] | None = None,
    for_training: bool = True,
) -> Iterator[Survey]:
    """Read a dataset; the survey is gone when the context ends.

    Args:
        data: The data's folder, or the file that says what there is; never written to.
        folder: Where the probes are kept, shared by all datasets.
        task: The task to read it for; None: what the data was made for.
        seed: Decides which images are carved.
        progress: Told how far it is.
        others: Further Pillows that have to read the images: those that training will use. Asked for only where there
            are images of formats that one may read and another not.
        among: Where `task` is None: the tasks to choose from; None: any.
        for_training: Whether there must be classes to tell from one another.

    Raises:
        DatasetError: there is no dataset at `data`: the message says what was found and what was expected.
        UnservedTaskError: there is one, for other tasks.
        StorageError: `folder`, or the one for temporary files, can't be written to or has no room.
        VisiontrainError: no decoder could be started.
    """
    given = _existing(data)
    layout = choose_format(given, task, among)
    source, root = layout.locate(given)
    tell = progress or (lambda _: None)
    known = folder / f"probes-{decoder.VERSION}.sqlite"
    with explained("what is known about the data can't be kept"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with Staging() as staging:
            tell(IndexProgress("scan", 0, 0))
            layout.read(source, task, _Telling(staging, tell, for_training=for_training))
            tell(IndexProgress("scan", staging.listed, staging.listed))
            probe_images(staging, root, known, tell)
            for other in _differing(others()) if staging.uncommon else ():
                cache = folder / f"probes-{decoder.VERSION}-pillow-{quote(other.version, safe='')}.sqlite"
                probe_images(staging, root, cache, tell, other=other)
            chosen, tasks = task or layout.tasks[0], layout.tasks
            if staging.annotated:
                what = f"{printable(given)} is read as {layout.name}"
                chosen, tasks = choose_task(staging.objects, layout.tasks, task, among, what)
                staging.objects.settle(chosen, lambda done: tell(IndexProgress("settle", done, staging.listed)))
                tell(IndexProgress("settle", staging.listed, staging.listed))
            if staging.masked:
                probe_masks(staging, root, folder / f"masks-{decoder.VERSION}.sqlite", tell)
                staging.settle_masks(lambda done: tell(IndexProgress("settle", done, staging.listed)))
                tell(IndexProgress("settle", staging.listed, staging.listed))
            staging.index_contents()
            carved = None
            if not staging.rows("SELECT 1 FROM image WHERE split = 'val' LIMIT 1"):
                staging.carve(seed, VAL_SHARE)
                carved = staging.rows("SELECT COUNT(*) FROM kept WHERE split = 'val'")[0][0]
            yield Survey(root, source, layout.name, chosen, tasks, staging, seed, carved)
    except sqlite3.Error as e:
        raise StorageError(
            f"what is known about the data can't be kept: {e}",
            instruction=f"Check that {folder} and the folder for temporary files can be written and have room; if it "
            f"speaks of damage, remove {known}: it is made anew.",
        ) from e


def _differing(others: Iterable[Pillow]) -> list[Pillow]:
    """Those that may answer otherwise than ours, one of each version."""
    ours = host_version()
    return list({other.version: other for other in others if other.version != ours}.values())


def _existing(data: str | os.PathLike[str]) -> str:
    root = os.path.abspath(os.path.expanduser(os.fspath(data)))
    if os.path.isfile(root):
        return root
    try:
        with os.scandir(root):
            return root
    except FileNotFoundError:
        parent = os.path.dirname(root)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        raise DatasetError(
            f"{printable(root)} does not exist",
            instruction=f"Check the path: {printable(parent)} is there, "
            f"{printable(os.path.relpath(root, parent))} in it is not.",
        ) from None
    except OSError as e:
        raise DatasetError(
            f"{printable(root)} can't be opened: {e.strerror}", instruction="Check that it may be read by you."
        ) from e


class _Telling:
    """A listing that tells how far it is."""

    def __init__(self, staging: Staging, tell: Callable[[IndexProgress], None], *, for_training: bool) -> None:
        self.for_training = for_training
        self._staging = staging
        self._tell = tell
        self.add_class = staging.add_class
        self.add_classes = staging.add_classes
        self.set_skeleton = staging.set_skeleton
        self.set_mask_classes = staging.set_mask_classes
        self.add_flaw = staging.add_flaw
        self.add_note = staging.add_note
        self.leave_out = staging.leave_out

    def reading(self, rows: int) -> None:
        if rows % _TOLD_EVERY == 0:
            self._tell(IndexProgress("scan", rows, 0))

    def add_image(self, split: Split, name: str, path: str, *, size: int, mtime_ns: int) -> None:
        self._staging.add_image(split, name, path, size=size, mtime_ns=mtime_ns)
        self._listed()

    def add_labelled_image(self, split: Split, names: tuple[str, ...], path: str, *, size: int, mtime_ns: int) -> None:
        self._staging.add_labelled_image(split, names, path, size=size, mtime_ns=mtime_ns)
        self._listed()

    def add_annotated_image(
        self,
        split: Split,
        path: str,
        annotations: Sequence[Annotation],
        *,
        size: int,
        mtime_ns: int,
        declared: tuple[int, int] | None = None,
    ) -> None:
        self._staging.add_annotated_image(split, path, annotations, size=size, mtime_ns=mtime_ns, declared=declared)
        self._listed()

    def add_masked_image(self, split: Split, path: str, mask: MaskFile, *, size: int, mtime_ns: int) -> None:
        self._staging.add_masked_image(split, path, mask, size=size, mtime_ns=mtime_ns)
        self._listed()

    def _listed(self) -> None:
        if self._staging.listed % _TOLD_EVERY == 0:
            self._tell(IndexProgress("scan", self._staging.listed, 0))
