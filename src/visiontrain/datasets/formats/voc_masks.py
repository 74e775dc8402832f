"""Pascal VOC's masks of classes: SegmentationClass beside JPEGImages, and lists of either split."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

from visiontrain.datasets.formats.base import Listing, MaskFile, Split
from visiontrain.datasets.formats.documents import BadDocument, read_document
from visiontrain.datasets.formats.files import IMAGE_EXTENSIONS, folders_in, names_in, printable, walk
from visiontrain.datasets.formats.mask_folders import note_meaning
from visiontrain.datasets.formats.mask_names import names_beside
from visiontrain.datasets.formats.mask_places import mask_finder
from visiontrain.datasets.formats.places import Finder, Named
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["VocMasks"]

_IMAGES, _MASKS = "JPEGImages", "SegmentationClass"
_LISTS = os.path.join("ImageSets", "Segmentation")
_SPLITS: tuple[Split, ...] = ("train", "val", "test")

#: Of the values 0 to 20, where no file names them.
_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


@dataclass(frozen=True)
class VocMasks:
    """``JPEGImages``, ``SegmentationClass`` and lists in ``ImageSets/Segmentation``; without these all is split."""

    name: ClassVar[str] = "pascal-voc-masks"
    summary: ClassVar[str] = (
        "SegmentationClass with a mask an image, JPEGImages, and ImageSets/Segmentation if you like"
    )
    tasks: ClassVar[tuple[Task, ...]] = (Task.semantic,)

    def recognises(self, source: str) -> bool:
        """A folder with masks inside or below."""
        return os.path.isdir(source) and bool(_bases(source))

    def locate(self, source: str) -> tuple[str, str]:
        """The folder that has the masks: the one given, or as in the archives ``VOCdevkit/VOC...`` below.

        Raises:
            DatasetError: there are several below.
        """
        found = _bases(source)
        if len(found) > 1:
            raise DatasetError(
                f"{printable(source)} has several datasets: {', '.join(printable(name) for name in found)}",
                instruction=f"Give one of them, such as {printable(found[0])}.",
            )
        return found[0], found[0]

    def read(self, source: str, task: Task | None, listing: Listing) -> None:  # noqa: ARG002 - one task only
        """List images and masks.

        Raises:
            DatasetError: there are none, or none to train on, or a list can't be used.
        """
        lists = _lists(source)
        if lists and listing.for_training and "train" not in {split for split, _ in lists}:
            raise DatasetError(
                f"{printable(source)} lists images for {', '.join(split for split, _ in lists)}, and none to train on",
                instruction=f"Add a list {_LISTS}/train.txt.",
            )
        _take_names(source, listing)
        with closing(Named()) as named:
            reading = _Reading(source, listing, named)
            for split, file in lists:
                reading.read_list(split, file)
            if not lists:
                reading.read_all()
            reading.leave_out_masks(listed=bool(lists))
        if not reading.count:
            raise DatasetError(
                f"{printable(source)}: not one image has a mask",
                instruction=f"Put the masks into {_MASKS}, under the names of the images in {_IMAGES}.",
            )


def _bases(source: str) -> list[str]:
    if _is_base(source):
        return [source]
    inside = os.path.join(source, "VOCdevkit") if "VOCdevkit" in folders_in(source) else source
    below = (os.path.join(inside, name) for name in folders_in(inside) if name.upper().startswith("VOC"))
    return [folder for folder in below if _is_base(folder)]


def _is_base(folder: str) -> bool:
    return _IMAGES in folders_in(folder) and any(islice(names_in(os.path.join(folder, _MASKS), ".png"), 1))


def _lists(root: str) -> list[tuple[Split, str]]:
    there = [split for split in _SPLITS if os.path.isfile(os.path.join(root, _LISTS, f"{split}.txt"))]
    found: list[tuple[Split, str]] = [(split, os.path.join(_LISTS, f"{split}.txt")) for split in there]
    both = os.path.join(_LISTS, "trainval.txt")
    if "train" not in there and os.path.isfile(os.path.join(root, both)):
        return [("train", both), *(one for one in found if one[0] != "val")]
    return found


def _take_names(root: str, listing: Listing) -> None:
    found = names_beside(root)
    if found is not None:
        note_meaning(listing, *found)
        return
    note_meaning(listing, dict(enumerate(_CLASSES)), root)
    listing.add_note("classes-assumed", "no file names the classes: they are taken to be Pascal VOC's 21")


class _Reading:
    def __init__(self, root: str, listing: Listing, named: Named) -> None:
        self._root, self._listing, self._named = root, listing, named
        self._images, self._masks = Finder(root), mask_finder(root)
        self.count = 0

    def read_list(self, split: Split, file: str) -> None:
        """The list names the images of a split."""
        try:
            text = read_document(os.path.join(self._root, file)).decode("utf-8-sig")
        except (BadDocument, UnicodeDecodeError) as e:
            raise DatasetError(
                f"{printable(os.path.join(self._root, file))} can't be used: {e}", instruction="Mend it."
            ) from e
        for line in text.splitlines():
            stem = line.strip()
            if stem:
                self._read(split, stem, file)

    def read_all(self) -> None:
        """Every mask is of an image."""
        for file in walk(self._root, _MASKS):
            stem, extension = os.path.splitext(os.path.relpath(file.path, _MASKS))
            if extension.lower() in IMAGE_EXTENSIONS:
                self._read("train", stem, "")

    def leave_out_masks(self, *, listed: bool) -> None:
        """Tell the listing of masks without an image, or that no list names. Most of VOC's images have no mask."""
        for file in walk(self._root, _MASKS):
            stem, extension = os.path.splitext(os.path.relpath(file.path, _MASKS))
            if extension.lower() not in IMAGE_EXTENSIONS:
                self._listing.leave_out(file.path, "other")
                continue
            image = self._images.find([_IMAGES], stem)
            if image is None:
                self._listing.leave_out(file.path, "labels")
            elif listed and not self._named.has(image[0]):
                self._listing.leave_out(image[0], "unlisted")

    def _read(self, split: Split, stem: str, listed: str) -> None:
        image, mask = self._images.find([_IMAGES], stem), self._masks.find([_MASKS], stem)
        why = f"{printable(listed)} names it"
        if image is None:
            if listed:
                self._listing.leave_out(stem, "missing", why)
            return
        path, status = image
        if not self._named.add(split, path):
            self._listing.leave_out(listed or path, "repeated", f"{printable(path)} once more")
        elif mask is None:
            self._listing.leave_out(path, "unlabelled", why)
        else:
            self.count += 1
            of = MaskFile(mask[0], mask[1].st_size, mask[1].st_mtime_ns)
            self._listing.add_masked_image(split, path, of, size=status.st_size, mtime_ns=status.st_mtime_ns)
