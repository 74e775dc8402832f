"""A folder a class: one such tree a split, or one for all."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from visiontrain.datasets.formats.annotations import sign_of_annotations
from visiontrain.datasets.formats.base import Listing, Split
from visiontrain.datasets.formats.files import files_in, folders_in, holds_images, printable, walk
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["SPLIT_NAMES", "ClassFolders"]

#: How people name the folder of a split, lower case.
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

_EXPECTED = (
    "Expected a folder a class with its images inside, as in DATA/cat/1.jpg and DATA/dog/2.jpg, or such folders a "
    "split, as in DATA/train/cat/1.jpg, DATA/val/cat/2.jpg and, if you like, DATA/test/cat/3.jpg."
)


@dataclass(frozen=True)
class ClassFolders:
    """Split folders (train, val or valid or validation, test, in any case) of class folders, or class folders alone."""

    name: ClassVar[str] = "class-folders"
    summary: ClassVar[str] = "a folder a class, with or without train/val/test above"
    tasks: ClassVar[tuple[Task, ...]] = (Task.classify,)

    def recognises(self, source: str) -> bool:
        """Any folder that shows no sign of annotation files."""
        return os.path.isdir(source) and sign_of_annotations(source) is None

    def locate(self, source: str) -> tuple[str, str]:
        """The folder itself."""
        return source, source

    def read(self, source: str, task: Task | None, listing: Listing) -> None:  # noqa: ARG002 - one task only
        """List a tree of class folders.

        Raises:
            DatasetError: there are no images or no classes, one class only, or two folders for one split.
        """
        root = source
        folders = folders_in(root)
        splits = {name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES}
        if _are_splits(root, folders, list(splits)):
            counts = _read_splits(root, splits, listing)
            for name in folders:
                if name not in splits:
                    listing.leave_out(name, "folder")
        else:
            counts = _read_classes(root, "", folders, "train", listing)
        loose = _leave_out_files(root, "", listing)
        _check_classes(root, counts, loose, fewest=2 if listing.for_training else 1)


def _are_splits(root: str, folders: list[str], splits: list[str]) -> bool:
    # "train" may be a class beside "bus" and "car": then there are images in it, and no class folders.
    if len(splits) == len(folders):
        return bool(splits)
    return any(
        holds_images(os.path.join(root, split, name))
        for split in splits
        for name in folders_in(os.path.join(root, split))
    )


def _read_splits(root: str, splits: dict[str, Split], listing: Listing) -> Counter[str]:
    for split in sorted(set(splits.values())):
        names = [name for name in splits if splits[name] == split]
        if len(names) > 1:
            raise DatasetError(
                f"{printable(root)} has {' and '.join(map(printable, names))} side by side, which are names of one "
                f"split ({split})",
                instruction="Put the images of both into one of them, or give the other a name that starts with a dot.",
            )
    if listing.for_training and "train" not in splits.values():
        raise DatasetError(
            f"{printable(root)} has a folder {printable(min(splits))} but none to train on",
            instruction=f"Add a folder named train. {_EXPECTED}",
        )
    counts: Counter[str] = Counter()
    for name, split in splits.items():
        place = os.path.join(root, name)
        if not os.access(place, os.R_OK | os.X_OK):
            raise DatasetError(
                f"{printable(place)} can't be opened: permission denied",
                instruction="Make it readable, or leave the split out by a name that starts with a dot.",
            )
        folders = folders_in(place)
        found = _read_classes(root, f"{name}/", folders, split, listing)
        loose = _leave_out_files(root, name, listing)
        if split == "train" and not found.total():
            raise DatasetError(
                f"{printable(root)}/{printable(name)} has {loose:,} images but no class folders with images"
                if loose
                else f"{printable(root)}/{printable(name)} has no images",
                instruction=_EXPECTED,
            )
        counts.update(found)
    return counts


def _read_classes(root: str, prefix: str, folders: list[str], split: Split, listing: Listing) -> Counter[str]:
    """Number of images by class."""
    counts: Counter[str] = Counter()
    for folder in folders:
        # One class may be spelled composed on one machine and decomposed on another.
        name = unicodedata.normalize("NFC", printable(folder))
        listing.add_class(name)
        for file in walk(root, prefix + folder):
            if file.kind == "image":
                listing.add_image(split, name, file.path, size=file.size, mtime_ns=file.mtime_ns)
                counts[name] += 1
            else:
                listing.leave_out(file.path, file.kind)
    return counts


def _leave_out_files(root: str, folder: str, listing: Listing) -> int:
    """Leave out what lies beside the class folders; give the number of images among it."""
    images = 0
    for file in files_in(root, folder):
        listing.leave_out(file.path, "loose" if file.kind == "image" else file.kind)
        images += file.kind == "image"
    return images


def _check_classes(root: str, counts: Counter[str], loose: int, *, fewest: int) -> None:
    shown = printable(root)
    if len(counts) >= fewest:
        return
    if not counts and loose:
        raise DatasetError(
            f"{shown} is a single folder of {loose:,} images: nothing says what class they are of",
            instruction=_EXPECTED,
        )
    if not counts:
        raise DatasetError(f"there are no images in {shown}", instruction=_EXPECTED)
    only = next(iter(counts))
    inside = f"{shown}/{only}"
    hint = f"If the classes are the folders in {inside}, give that. " if len(folders_in(inside)) > 1 else ""
    raise DatasetError(
        f"{shown} holds images of one class only, {only}: there is nothing to tell it from",
        instruction=hint + _EXPECTED,
    )
