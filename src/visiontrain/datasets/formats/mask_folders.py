"""Images with masks: a tree of folders of images beside one of masks, whose pixels say what class they are of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from visiontrain.datasets.formats.base import Listing, MaskFile
from visiontrain.datasets.formats.files import IMAGE_EXTENSIONS, folders_in, printable, walk
from visiontrain.datasets.formats.mask_description import (
    describes_masks,
    descriptions_in,
    read_mask_description,
    usable,
)
from visiontrain.datasets.formats.mask_names import meaning_of, names_beside
from visiontrain.datasets.formats.mask_places import Pair, mask_finder, pairs_in, split_of
from visiontrain.datasets.formats.places import Finder
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["MaskFolders", "note_meaning"]

_EXPECTED = (
    "Expected a mask for each image under its name, as in images/train/1.jpg and masks/train/1.png, and the classes' "
    "names in classes.txt."
)


@dataclass(frozen=True)
class MaskFolders:
    """Parallel trees, with splits below (``images/train``, ``masks/train``) or above (``train/images``).

    Or a YAML file that says where they are: ``train: {images: ..., masks: ...}`` and ``classes``.
    """

    name: ClassVar[str] = "mask-folders"
    summary: ClassVar[str] = "images and masks of the same names in folders side by side, classes.txt"
    tasks: ClassVar[tuple[Task, ...]] = (Task.semantic,)

    def recognises(self, source: str) -> bool:
        """A YAML file that names masks, or a folder with one inside, or with both trees."""
        if not os.path.isdir(source):
            return source.lower().endswith((".yaml", ".yml")) and describes_masks(source)
        try:
            return bool(descriptions_in(source)) or bool(pairs_in(source))
        except DatasetError:  # there is more than one of something: whoever reads it is told
            return True

    def locate(self, source: str) -> tuple[str, str]:
        """The YAML file and what its paths are relative to, or the folder itself.

        Raises:
            DatasetError: the file can't be used.
        """
        if not os.path.isdir(source):
            return source, read_mask_description(source).root
        described = descriptions_in(source)
        whole = usable(described)
        if len(whole) > 1:
            raise DatasetError(
                f"{printable(source)} has several descriptions of masks: "
                f"{', '.join(printable(os.path.basename(file)) for file in whole)}",
                instruction=f"Give the one that counts, such as {printable(whole[0])}.",
            )
        if not whole and pairs_in(source):
            return source, source
        file = (whole or described)[0]  # one that can't be used says why
        return file, read_mask_description(file).root

    def read(self, source: str, task: Task | None, listing: Listing) -> None:  # noqa: ARG002 - one task only
        """List images and masks.

        Raises:
            DatasetError: there are none, or none to train on, or what names the classes can't be used.
        """
        if os.path.isdir(source):
            pairs: Sequence[Pair] = pairs_in(source)
            root = source
            _take_names(root, pairs, listing)
        else:
            described = read_mask_description(source)
            pairs, root = described.pairs, described.root
            names, file = (described.names, source) if described.names else names_beside(root) or (None, source)
            note_meaning(listing, names, file, described.ignored, described.ignore_value)
        splits = {pair.split for pair in pairs}
        if listing.for_training and "train" not in splits and splits != {None}:
            there = ", ".join(sorted(split for split in splits if split))
            raise DatasetError(
                f"{printable(source)} has masks for {there}, and none to train on",
                instruction=f"Add a folder named train. {_EXPECTED}",
            )
        count = sum(_read_pair(root, pair, listing) for pair in pairs)
        if not count:
            raise DatasetError(f"{printable(source)}: not one image has a mask", instruction=_EXPECTED)
        if os.path.isdir(source):
            _leave_out_splits(root, pairs, listing)


def note_meaning(
    listing: Listing,
    names: dict[int, str] | None,
    file: str,
    ignored: tuple[int, ...] | None = None,
    ignore_value: int | None = None,
) -> None:
    """Tell the listing what values mean, and the person what was made of it.

    Raises:
        DatasetError: as `meaning_of` does.
    """
    meaning = meaning_of(names, file, ignored, ignore_value)
    listing.set_mask_classes(meaning)
    if meaning.names is None or names is None:
        nowhere = ", ".join(map(str, meaning.ignored))
        listing.add_note(
            "classes-unnamed",
            f"nothing names the classes: each value of the masks is one, but for {nowhere}, which is ignored; to name "
            "them, write classes.txt beside the folders, one name a line from value 0 on",
        )
        return
    left = [f"{names[value]} ({value})" for value in meaning.ignored if value in names]
    if left:
        listing.add_note("ignored-classes", f"no classes, but pixels to ignore: {', '.join(left)}")
    values = list(meaning.names)
    if values != list(range(len(values))):
        listing.add_note(
            "classes-renumbered",
            f"the masks' values of classes have gaps or begin after 0: {len(values)} classes became 0 to "
            f"{len(values) - 1}, in their order",
        )


def _take_names(root: str, pairs: Sequence[Pair], listing: Listing) -> None:
    for file in descriptions_in(root):
        described = read_mask_description(file, names_alone=True)
        if described.names is not None:
            note_meaning(listing, described.names, file, described.ignored, described.ignore_value)
            return
    folders = dict.fromkeys(["", *(pair.masks for pair in pairs), *(os.path.dirname(pair.masks) for pair in pairs)])
    for folder in folders:
        found = names_beside(os.path.join(root, folder))
        if found is not None:
            note_meaning(listing, *found)
            return
    note_meaning(listing, None, root)


def _read_pair(root: str, pair: Pair, listing: Listing) -> int:
    """List the images of two folders; give how many have masks."""
    masks = mask_finder(root)
    beside = pair.images == pair.masks
    count = 0
    for file in walk(root, pair.images):
        stem = os.path.splitext(os.path.relpath(file.path, pair.images or "."))[0]
        if file.kind != "image":
            if not _says_classes(file.path):
                listing.leave_out(file.path, file.kind)
            continue
        if beside and stem.endswith(pair.suffix):
            continue  # a mask
        found = masks.find([pair.masks], stem + pair.suffix)
        if found is None:
            listing.leave_out(file.path, "unlabelled", "there is no mask of its name")
            continue
        path, status = found
        mask = MaskFile(path, status.st_size, status.st_mtime_ns)
        listing.add_masked_image(pair.split or "train", file.path, mask, size=file.size, mtime_ns=file.mtime_ns)
        count += 1
    images = Finder(root)
    for file in walk(root, pair.masks):
        stem, extension = os.path.splitext(os.path.relpath(file.path, pair.masks or "."))
        is_mask = stem.endswith(pair.suffix)
        if extension.lower() not in IMAGE_EXTENSIONS or (beside and not is_mask):
            continue
        if not is_mask or images.find([pair.images], stem[: len(stem) - len(pair.suffix)]) is None:
            listing.leave_out(file.path, "labels")
    return count


def _says_classes(path: str) -> bool:
    return os.path.basename(path) in ("_classes.csv", "classes.txt")


def _leave_out_splits(root: str, pairs: Sequence[Pair], listing: Listing) -> None:
    """Tell of splits that have images and no masks, as test often has."""
    known = {pair.images for pair in pairs}
    above = {
        os.path.dirname(pair.images if split_of(os.path.basename(pair.images)) else os.path.dirname(pair.images))
        for pair in pairs
        if pair.split
    }
    for folder in sorted(above):
        for name in folders_in(os.path.join(root, folder)):
            path = os.path.join(folder, name)
            if split_of(name) and not any(image == path or image.startswith(f"{path}/") for image in known):
                listing.leave_out(path, "folder", "there are no masks for it")
