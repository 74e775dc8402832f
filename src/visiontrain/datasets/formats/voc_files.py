"""Where a Pascal VOC dataset keeps its annotations, its images and its lists."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice

from visiontrain.datasets.formats.base import Split
from visiontrain.datasets.formats.class_folders import SPLIT_NAMES
from visiontrain.datasets.formats.documents import BadDocument, read_document
from visiontrain.datasets.formats.files import folders_in, names_in, printable
from visiontrain.errors import DatasetError

__all__ = ["Unit", "base_of", "units_of"]

_ANNOTATIONS = frozenset({"annotations", "annotation", "xml", "xmls", "labels", "label"})
_IMAGES = frozenset({"jpegimages", "images", "image", "imgs", "img", "pngimages"})
_LOOKED_AT = 5  # files: one is as good a sign as a thousand
_LISTS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Unit:
    """XML files and their images; paths are relative to the data's folder, empty for that itself.

    Args:
        split: What the folder's name says; None where it says nothing.
        annotations: The folder of the XML files.
        images: Folders that may have the images, the likeliest first.
        lists: Files of ``ImageSets/Main`` with the names of each split; empty where there are none.
    """

    split: Split | None
    annotations: str
    images: tuple[str, ...]
    lists: tuple[tuple[Split, str], ...] = ()


def base_of(source: str) -> str:
    """The folder itself or, as the archives of Pascal VOC have it, the only dataset in ``VOCdevkit/VOC...`` below.

    Raises:
        DatasetError: there are several below.
    """
    if units_of(source):
        return source
    inside = source
    if "VOCdevkit" in folders_in(source):
        inside = os.path.join(source, "VOCdevkit")
    found = [
        name for name in folders_in(inside) if name.upper().startswith("VOC") and units_of(os.path.join(inside, name))
    ]
    if len(found) > 1:
        raise DatasetError(
            f"{printable(inside)} has several datasets: {', '.join(map(printable, found))}",
            instruction=f"Give one of them, such as {printable(os.path.join(inside, found[0]))}.",
        )
    return os.path.join(inside, found[0]) if found else source


def units_of(base: str) -> list[Unit]:
    """What a folder holds: one unit, or one a split; none where there is no Pascal VOC data."""
    own = _unit(base, "", None)
    if own is not None:
        return [own]
    splits = [(name, SPLIT_NAMES[name.lower()]) for name in folders_in(base) if name.lower() in SPLIT_NAMES]
    units = (_unit(base, name, split) for name, split in splits)
    return [unit for unit in units if unit is not None]


def _unit(base: str, folder: str, split: Split | None) -> Unit | None:
    whole = os.path.join(base, folder)
    folders = folders_in(whole)
    images = [os.path.join(folder, name) for name in folders if name.lower() in _IMAGES]
    for name in folders:
        if name.lower() in _ANNOTATIONS and _holds_xml(os.path.join(whole, name)):
            annotations = os.path.join(folder, name)
            return Unit(split, annotations, (*images, folder, annotations), () if split else tuple(_lists(base)))
    if _holds_xml(whole):
        return Unit(split, folder, (folder, *images))
    return None


def _holds_xml(folder: str) -> bool:
    """Whether annotations lie directly in a folder."""
    names = islice(names_in(folder, ".xml"), _LOOKED_AT)
    return any(_is_annotation(os.path.join(folder, name)) for name in names)


def _is_annotation(file: str) -> bool:
    try:
        return b"<annotation" in read_document(file)
    except BadDocument:
        return False


def _lists(base: str) -> list[tuple[Split, str]]:
    folder = os.path.join("ImageSets", "Main")
    there = [split for split in _LISTS if os.path.isfile(os.path.join(base, folder, f"{split}.txt"))]
    found: list[tuple[Split, str]] = [(split, os.path.join(folder, f"{split}.txt")) for split in there]
    both = os.path.join(folder, "trainval.txt")
    if "train" not in there and os.path.isfile(os.path.join(base, both)):
        return [("train", both), *(one for one in found if one[0] != "val")]
    return found
