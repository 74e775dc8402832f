"""Folders of images and of text files with four-cornered boxes, as DOTA and ICDAR have them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

from visiontrain.datasets.annotation import Annotation
from visiontrain.datasets.formats.base import Listing, Split
from visiontrain.datasets.formats.class_folders import SPLIT_NAMES
from visiontrain.datasets.formats.documents import BadDocument, read_document
from visiontrain.datasets.formats.files import files_in, folders_in, names_in, printable
from visiontrain.datasets.formats.places import Finder, Named
from visiontrain.datasets.formats.quad_rows import Dialect, dialect_of, read_quads
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["QuadFolders"]

_LOOKED_AT = 5  # files of a folder: one is as good a sign as a thousand
_DEPTH = 2  # folders below the data's


@dataclass(frozen=True)
class _Unit:
    """A folder of text files, those that may have its images, and what its rows look like."""

    texts: str
    images: tuple[str, ...]
    split: Split | None
    dialect: Dialect


@dataclass(frozen=True)
class QuadFolders:
    """Folders of text files, a line a box of four corners, and folders of images, up to two levels below.

    A text file has its image's name, or that with ``gt_`` before it. Words such as train and test in the folders' names
    say the splits.
    """

    name: ClassVar[str] = "quads"
    summary: ClassVar[str] = "images, and text files of four-cornered boxes as DOTA and ICDAR have them"
    tasks: ClassVar[tuple[Task, ...]] = (Task.obb, Task.detect)

    def recognises(self, source: str) -> bool:
        """A folder with such text files and images."""
        return os.path.isdir(source) and bool(_units(source))

    def locate(self, source: str) -> tuple[str, str]:
        """The folder itself."""
        return source, source

    def read(self, source: str, task: Task | None, listing: Listing) -> None:  # noqa: ARG002 - the same rows for both
        """List images and boxes.

        Raises:
            DatasetError: there are none, or none to train on.
        """
        units = _units(source)
        if listing.for_training and len(units) == 1:
            split, texts = units[0].split, printable(units[0].texts)
            if split not in {None, "train"}:
                listing.add_note(
                    "only-split", f"{texts} is all there is, and is trained on although its name says {split}"
                )
            units = [replace(units[0], split=None)]
        if listing.for_training and len(units) > 1 and all(unit.split != "train" for unit in units):
            raise DatasetError(
                f"{printable(source)} has boxes in {', '.join(printable(unit.texts) for unit in units)}, and none to "
                "train on",
                instruction="Give the folder that is to be trained on the word train in its name.",
            )
        with closing(Named()) as named:
            count = sum(_read(source, unit, unit.split or "train", listing, named) for unit in units)
            named.leave_out_others(source, listing, "unlabelled")
        if not count:
            raise DatasetError(
                f"{printable(source)}: none of the text files has an image",
                instruction="Give each image a text file of its name, or of its name with gt_ before it.",
            )


def _units(root: str) -> list[_Unit]:
    folders = list(_below(root, "", _DEPTH))
    texts = [(folder, dialect) for folder in folders if (dialect := _dialect(root, folder)) is not None]
    if not texts:
        return []
    images = [folder for folder in folders if _holds_image(root, folder)]
    units = []
    for folder, dialect in texts:
        found = _images_of(folder, images)
        if found:
            units.append(_Unit(folder, found, _split(folder), dialect))
    return units


def _images_of(texts: str, folders: list[str]) -> tuple[str, ...]:
    """Folders that may have the images of a folder of texts: the nearest first, then those of its split."""
    split = _split(texts)
    fitting = [folder for folder in folders if split is None or _split(folder) in (split, None)]
    above = os.path.dirname(texts)
    fitting.sort(key=lambda folder: (folder != texts, os.path.dirname(folder) != above, _split(folder) != split))
    return tuple(fitting)


def _below(root: str, folder: str, depth: int) -> Iterator[str]:
    yield folder
    if depth:
        for name in folders_in(os.path.join(root, folder)):
            yield from _below(root, os.path.join(folder, name), depth - 1)


def _split(folder: str) -> Split | None:
    """What the words in the names of a folder and of those above say."""
    words = re.findall(r"[a-z]+", folder.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


def _dialect(root: str, folder: str) -> Dialect | None:
    for name in islice(names_in(os.path.join(root, folder), ".txt"), _LOOKED_AT):
        try:
            found = dialect_of(read_document(os.path.join(root, folder, name)).decode("utf-8-sig", "replace"))
        except BadDocument:
            continue
        if found is not None:
            return found
    return None


def _holds_image(root: str, folder: str) -> bool:
    return any(file.kind == "image" for file in files_in(root, folder))


def _read(root: str, unit: _Unit, split: Split, listing: Listing, named: Named) -> int:
    """List what a folder of text files has; gives the number of images."""
    finder = Finder(root)
    count = 0
    for file in files_in(root, unit.texts):
        stem, extension = os.path.splitext(os.path.basename(file.path))
        if extension.lower() != ".txt":
            continue
        found = next((one for name in _stems(stem) if (one := finder.find(unit.images, name)) is not None), None)
        if found is None:
            listing.leave_out(file.path, "labels")
        elif not named.add(split, found[0]):
            listing.leave_out(file.path, "repeated", f"{printable(found[0])} once more")
        else:
            count += 1
            annotations = list(_annotations(root, file.path, unit.dialect, listing))
            for name in dict.fromkeys(one.name for one in annotations):
                listing.add_class(name)
            status = found[1]
            listing.add_annotated_image(split, found[0], annotations, size=status.st_size, mtime_ns=status.st_mtime_ns)
    return count


def _stems(stem: str) -> Iterator[str]:
    yield stem
    if stem.lower().startswith("gt_"):
        yield stem[3:]
    if stem.lower().endswith("_gt"):
        yield stem[:-3]


def _annotations(root: str, path: str, dialect: Dialect, listing: Listing) -> Iterator[Annotation]:
    try:
        text = read_document(os.path.join(root, path)).decode("utf-8-sig")
    except (BadDocument, UnicodeDecodeError) as e:
        listing.add_flaw(path, "bad-annotations", str(e))
        return
    for row in read_quads(text, dialect):
        if row.reason:
            listing.add_flaw(path, "bad-annotations", f"{row.place}: {row.reason}")
        else:
            yield Annotation(row.name, row.place, quad=row.quad, difficult=row.difficult, file=path)
