"""Where a dataset keeps its images and their masks: parallel trees of folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from visiontrain.datasets.formats.base import Split
from visiontrain.datasets.formats.class_folders import SPLIT_NAMES
from visiontrain.datasets.formats.files import IMAGE_EXTENSIONS, files_in, folders_in, printable, walk
from visiontrain.datasets.formats.places import Finder
from visiontrain.errors import DatasetError

__all__ = ["MASK_EXTENSIONS", "Pair", "mask_finder", "pairs_in", "split_of"]

#: Of masks, the likeliest first. Those that change the values of pixels are found too, to be told.
MASK_EXTENSIONS = (".png", ".tif", ".tiff", ".bmp", ".gif")

_IMAGES = frozenset({"images", "image", "imgs", "img", "jpegimages", "leftimg8bit"})
_MASKS = re.compile(
    r"(masks?|annotations?|labels?|segmentations?|segmentationclass|semantic|gt|gtfine|groundtruth)([-_ ]?\w+)*"
)
_SUFFIX = "_mask"  # how names of masks go on where they are not their images', as where both lie in one folder
_LOOKED_AT = 20  # files of a folder: one is as good a sign as a thousand
_YEAR = re.compile(r"[-_ ]?\d+$")


@dataclass(frozen=True)
class Pair:
    """A folder of images and one of masks, relative to the data's folder; empty for that itself.

    Args:
        split: What the folders' names say; None where they say nothing.
        images: The folder of the images.
        masks: That of the masks, which lie in it as the images do in theirs. It may be the same.
        suffix: How a mask's name goes on after its image's.
    """

    split: Split | None
    images: str
    masks: str
    suffix: str = ""


def split_of(name: str) -> Split | None:
    """The split that a folder's name says: `training`, `val2017`."""
    return SPLIT_NAMES.get(_YEAR.sub("", name.lower()))


def mask_finder(root: str) -> Finder:
    """Finds masks by their names without the extension."""
    return Finder(root, (*MASK_EXTENSIONS, *sorted(IMAGE_EXTENSIONS.difference(MASK_EXTENSIONS))))


def pairs_in(root: str) -> list[Pair]:
    """The pairs of a folder: one, or one a split; none where no file of the one is a mask of a file of the other.

    Raises:
        DatasetError: there are several trees of masks, or several folders of one split.
    """
    found = list(_trees(root, "", None))
    if not found:
        for name in folders_in(root):
            split = split_of(name)
            if split is not None:
                found += _trees(root, name, split) or _beside(root, name, split)
    found = found or _beside(root, "", None)
    for pair in found:
        others = [other for other in found if other.split == pair.split and other is not pair]
        if others:
            raise DatasetError(
                f"{printable(root)} has several folders for one split ({pair.split}): {printable(pair.images)} and "
                f"{printable(others[0].images)}",
                instruction="Put the images of both into one of them, or give one a name that starts with a dot.",
            )
    return found


def _trees(root: str, folder: str, split: Split | None) -> list[Pair]:
    """Folders of images and of masks that lie in `folder`, with splits inside of both or without."""
    names = folders_in(os.path.join(root, folder))
    images = [os.path.join(folder, name) for name in names if name.lower() in _IMAGES]
    masks = [os.path.join(folder, name) for name in names if _MASKS.fullmatch(name.lower())]
    found = {}
    for mask in masks:
        for image in images:
            pairs = [
                fitting
                for pair in _parallel(root, image, mask, split)
                for fitting in [one for one in (pair, replace(pair, suffix=_SUFFIX)) if _fits(root, one)][:1]
            ]
            if pairs:
                found[mask] = pairs
                break
    if len(found) > 1:
        raise DatasetError(
            f"{printable(os.path.join(root, folder))} has several folders of masks: {', '.join(map(printable, found))}",
            instruction="Say in a YAML file which one counts, with `train: {images: ..., masks: ...}`, the same for "
            "`val`, and `classes`; give that file.",
        )
    return next(iter(found.values()), [])


def _parallel(root: str, images: str, masks: str, split: Split | None) -> Iterator[Pair]:
    if split is None:
        names = [name for name in folders_in(os.path.join(root, masks)) if split_of(name)]
        inside = {split_of(name): name for name in names}
        for name in folders_in(os.path.join(root, images)):
            here = split_of(name)
            if here in inside:
                of = name if name in names else inside[here]
                yield Pair(here, os.path.join(images, name), os.path.join(masks, of))
        if inside:
            return
    yield Pair(split, images, masks)


def _beside(root: str, folder: str, split: Split | None) -> list[Pair]:
    pair = Pair(split, folder, folder, _SUFFIX)
    return [pair] if _fits(root, pair) else []


def _fits(root: str, pair: Pair) -> bool:
    """Whether one of a few files is a mask of an image that is there.

    Where both lie in one folder, those below it don't count: they may be folders of classes, with masks or without.
    """
    finder = Finder(root)
    files = files_in(root, pair.masks) if pair.masks == pair.images else walk(root, pair.masks)
    for file in islice(files, _LOOKED_AT):
        stem, extension = os.path.splitext(os.path.relpath(file.path, pair.masks or "."))
        if extension.lower() in MASK_EXTENSIONS and stem.endswith(pair.suffix):
            of = stem[: len(stem) - len(pair.suffix)]
            if finder.find([pair.images], of) is not None:
                return True
    return False
