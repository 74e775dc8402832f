"""What a format is: one module that turns one layout on disk into images with a split and a class, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from visiontrain.datasets.annotation import Annotation, FlawCode
from visiontrain.datasets.objects import Skeleton
from visiontrain.protocol.tasks import Task

__all__ = ["Format", "LeftOut", "Listing", "MaskClasses", "MaskFile", "Split"]

Split = Literal["train", "val", "test"]

#: Why a file, folder or row is left out:
#: ``other`` is no image by its name, ``unsupported`` an image of a kind that can't be read, ``loose`` an image outside
#: of any class, ``folder`` a folder that is not part of the layout, ``denied`` a folder that may not be opened,
#: ``missing`` an image that is named and is not there, ``repeated`` a row that says what another one said,
#: ``labels`` annotations of no image, ``unlisted`` an image that no list names, ``unlabelled`` one without the
#: annotations that it should have, ``list`` a file with annotations that is not the one to read.
LeftOut = Literal[
    "other",
    "unsupported",
    "loose",
    "folder",
    "denied",
    "missing",
    "repeated",
    "labels",
    "unlisted",
    "unlabelled",
    "list",
]


@dataclass(frozen=True)
class MaskClasses:
    """What the values of masks' pixels mean, from 0 to 65535.

    Args:
        names: Class names by value, in the order of the classes; None: every value found is a class, named like it.
        ignored: Values of pixels that are of no class, none of them in `names`.
    """

    names: Mapping[int, str] | None
    ignored: tuple[int, ...]


@dataclass(frozen=True)
class MaskFile:
    """A mask; `path` is as of an image, `size` in bytes, -1 where the file can't be looked at."""

    path: str
    size: int
    mtime_ns: int


class Listing(Protocol):
    """Takes what a format finds, a file at a time and in any order, so that a million files need little memory.

    All paths are relative to the data's folder, with ``/``, as `os.fsdecode` gives them; those of images that lie
    elsewhere are absolute. Either all images have one class, or all have labels: any number of classes; or all have
    objects; or all have masks.
    """

    @property
    def for_training(self) -> bool:
        """Whether the data will be trained on: then there must be classes to tell from one another."""

    def reading(self, rows: int) -> None:
        """So many rows of a list were read so far, of which images may follow later; for progress."""

    def add_class(self, name: str) -> None:
        """There is a class, whether or not images of it follow. It comes before its images."""

    def add_classes(self, names: Sequence[str]) -> None:
        """These are all classes, in this order, whether or not anything of them follows."""

    def set_skeleton(self, skeleton: Skeleton) -> None:
        """The objects have these keypoints."""

    def set_mask_classes(self, classes: MaskClasses) -> None:
        """The values of masks' pixels mean this."""

    def add_image(self, split: Split, name: str, path: str, *, size: int, mtime_ns: int) -> None:
        """There is an image of class `name`; `size` is in bytes, -1 where the file can't be looked at."""

    def add_labelled_image(self, split: Split, names: tuple[str, ...], path: str, *, size: int, mtime_ns: int) -> None:
        """There is an image that has these labels, each once: all that apply, or none."""

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
        """There is an image with these objects, or with none; `declared` is its width and height as a file has it."""

    def add_masked_image(self, split: Split, path: str, mask: MaskFile, *, size: int, mtime_ns: int) -> None:
        """There is an image whose mask says what class each pixel is of."""

    def add_flaw(self, path: str, code: FlawCode, reason: str) -> None:
        """There is something wrong with an annotation in the file at `path`, which is not read."""

    def add_note(self, code: str, message: str) -> None:
        """The person should know how the data was understood; `code` is a stable name."""

    def leave_out(self, path: str, why: LeftOut, reason: str = "") -> None:
        """There is a file, folder or row that is not read; `reason` says more about this one."""


class Format(Protocol):
    """One layout of data. Make it known by a line in `visiontrain.datasets.formats`."""

    @property
    def name(self) -> str:
        """The name that reports and indexes carry."""

    @property
    def summary(self) -> str:
        """The layout in a few words, for a person who has to choose one."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that it may hold data for. Where objects are listed, what they have decides among these."""

    def recognises(self, source: str) -> bool:
        """Whether what the person gave, a folder or a file, has this layout, from a look at few files."""

    def locate(self, source: str) -> tuple[str, str]:
        """The file or folder that says what there is, and the data's folder: what paths are relative to.

        Raises:
            DatasetError: there are several to choose from.
        """

    def read(self, source: str, task: Task | None, listing: Listing) -> None:
        """List everything that `source`, as `locate` gives it, holds. Splits that are missing are carved later.

        `task` is what the person asked for; None: whatever the data has.

        Raises:
            DatasetError: it is not a dataset: says what was found, and what was expected in its place.
        """
