"""COCO JSON: boxes, outlines, masks and keypoints of many images in one file a split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar

from visiontrain.datasets.annotation import Annotation
from visiontrain.datasets.formats.base import Listing
from visiontrain.datasets.formats.coco_book import BookedAnnotation, BookedImage, CocoBook
from visiontrain.datasets.formats.coco_categories import Categories
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.formats.json_parts import Part, annotation_files, data_root, find_parts, has_keys
from visiontrain.datasets.formats.json_stream import read_items
from visiontrain.datasets.formats.places import Named, look, place
from visiontrain.datasets.masks import Mask
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["CocoJson"]

_TRIPLE = 3
_NUMBERS = {int, float}


@dataclass(frozen=True)
class CocoJson:
    """A JSON file with images, annotations and categories, or a folder with one for each split.

    A folder's files may lie in it or one level below; their names or those of their folders say the split. Categories
    become classes in the order of their ids.
    """

    name: ClassVar[str] = "coco"
    summary: ClassVar[str] = "COCO's JSON with images, annotations and categories, one file a split or one for all"
    tasks: ClassVar[tuple[Task, ...]] = (Task.detect, Task.segment, Task.pose)

    def recognises(self, source: str) -> bool:
        """A JSON file by the keys that it has; a folder by one inside or one level below."""
        if os.path.isdir(source):
            return next(annotation_files(source, _is_coco), None) is not None
        return source.lower().endswith(".json") and _is_coco(source)

    def locate(self, source: str) -> tuple[str, str]:
        """What was given, and the folder above the annotations."""
        return source, data_root(source)

    def read(self, source: str, task: Task | None, listing: Listing) -> None:
        """List images and objects of all splits.

        Raises:
            DatasetError: there are several files to choose from, or one is broken.
        """
        parts, others = find_parts(source, task, _is_coco, listing)
        root = data_root(source)
        for file in others:
            hint = "--task pose reads it" if "keypoint" in os.path.basename(file) and task is not Task.pose else ""
            listing.leave_out(place(root, file), "list", hint)
        with closing(CocoBook()) as book, closing(Named()) as named:
            reading = _Reading(root, book, listing)
            for number, part in enumerate(parts):
                reading.take(number, part)
            book.finish()
            reading.name_classes(task, parts[0].file)
            for number, part in enumerate(parts):
                reading.hand_on(number, part, named)
            named.leave_out_others(root, listing)


def _is_coco(file: str) -> bool:
    # Captions have no categories; panoptic data has the same keys and no objects.
    return has_keys(file, ("images", "annotations", "categories"), but=("segments_info",))


class _Bad(Exception):  # noqa: N818 - an annotation, and no error of a program
    pass


class _Reading:
    def __init__(self, root: str, book: CocoBook, listing: Listing) -> None:
        self._root = root
        self._book = book
        self._listing = listing
        self._categories = Categories()
        self._used: set[int] = set()
        self._classes: dict[int, str] = {}
        self._pointed = False
        self._read = 0

    def take(self, number: int, part: Part) -> None:
        """Read a file into the book."""
        shown = place(self._root, part.file)
        counts = {"images": 0, "annotations": 0}
        for key, item in read_items(part.file):
            if key == "categories":
                self._categories.add(item, part.file)
            elif key in counts:
                counts[key] += 1
                self._read += 1
                self._listing.reading(self._read)
                try:
                    if key == "images":
                        if not self._book.add_image(_image(number, item)):
                            raise _Bad(f"there is another image of the id {item['id']}")
                    else:
                        self._take_annotation(number, _annotation(item, counts[key]))
                except _Bad as bad:
                    what = f"{key[:-1]} number {counts[key]:,}"
                    self._listing.add_flaw(shown, "bad-annotations", f"{what}: {bad}")
        if not counts["images"]:
            raise DatasetError(f"{printable(part.file)} lists no images", instruction="Give a file that does.")

    def _take_annotation(self, number: int, found: BookedAnnotation) -> None:
        self._book.add_annotation(number, found)
        if isinstance(found.category, int):
            self._used.add(found.category)
        self._pointed |= isinstance(found.keypoints, list) and any(found.keypoints)

    def name_classes(self, task: Task | None, file: str) -> None:
        """Tell the listing of classes and keypoints."""
        self._classes = self._categories.classes(self._used, file)
        if not self._classes:
            raise DatasetError(f"{printable(file)} has no categories", instruction="Give a file that names them.")
        self._listing.add_classes(list(self._classes.values()))
        skeleton = self._categories.skeleton(task, file) if self._pointed else None
        if skeleton is not None:
            self._listing.set_skeleton(skeleton)

    def hand_on(self, number: int, part: Part, named: Named) -> None:
        """List the images of a file, with what is annotated on each."""
        shown = place(self._root, part.file)
        split = part.split or "train"
        for image in self._book.images(number):
            found = self._find(image, part)
            if isinstance(found, str):
                path = place(self._root, os.path.join(part.folders[0], image.file_name))
                self._listing.leave_out(path, "missing", f"image {image.id} of {printable(shown)}: {found}")
                continue
            path, status = found
            if not named.add(split, path):
                reason = f"image {image.id}: there is another image of the file {printable(path)}"
                self._listing.add_flaw(shown, "bad-annotations", reason)
                continue
            self._listing.add_annotated_image(
                split,
                path,
                list(self._annotations(image, shown)),
                size=status.st_size,
                mtime_ns=status.st_mtime_ns,
                declared=image.size,
            )
        for orphan in self._book.orphans(number):
            reason = f"annotation {orphan.id}: there is no image of the id {orphan.image}"
            self._listing.leave_out(shown, "labels", reason)

    def _find(self, image: BookedImage, part: Part) -> tuple[str, os.stat_result] | str:
        found: tuple[str, os.stat_result] | str = "there is no such file"
        for folder in part.folders:
            written = os.path.join(folder, image.file_name)
            found = look(self._root, place(self._root, written), written)
            if not isinstance(found, str):
                break
        return found

    def _annotations(self, image: BookedImage, shown: str) -> Iterator[Annotation]:
        for found in self._book.annotations(image):
            spot = f"annotation {found.id}"
            name = self._classes.get(found.category) if isinstance(found.category, int) else None
            if name is None:
                reason = f"{spot}: there is no category of the id {found.category}"
                self._listing.add_flaw(shown, "unknown-classes", reason)
                continue
            try:
                box = _box(found.bbox)
                polygons, mask = _segmentation(found.segmentation)
                keypoints = _numbers(found.keypoints or [], "keypoints")
                if len(keypoints) % _TRIPLE:
                    raise _Bad(f"its keypoints are {len(keypoints)} numbers: three for each are needed")
            except _Bad as bad:
                self._listing.add_flaw(shown, "bad-annotations", f"{spot}: {bad}")
                continue
            yield Annotation(
                name,
                spot,
                box=box,
                polygons=polygons,
                mask=mask,
                keypoints=keypoints,
                crowd=found.crowd,
                difficult=found.ignored,
                file=shown,
            )


def _id(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise _Bad(f"its {key} is {value!r}, no whole number and no text")
    return str(value)


def _image(part: int, item: Any) -> BookedImage:
    if not isinstance(item, Mapping):
        raise _Bad("it is no object with names and values")
    name = item.get("file_name")
    if not isinstance(name, str) or not name or "\0" in name:
        raise _Bad(f"its file_name is {name!r}, which is none")
    width, height = item.get("width"), item.get("height")
    if not isinstance(width, int) or not isinstance(height, int) or width < 1 or height < 1:
        return BookedImage(part, _id(item, "id"), name, None)  # where the size is not known tools write 0, or nothing
    return BookedImage(part, _id(item, "id"), name, (width, height))


def _annotation(item: Any, number: int) -> BookedAnnotation:
    if not isinstance(item, Mapping):
        raise _Bad("it is no object with names and values")
    return BookedAnnotation(
        str(item.get("id", f"number {number:,}")),
        _id(item, "image_id"),
        item.get("category_id"),
        item.get("bbox"),
        item.get("segmentation"),
        item.get("keypoints"),
        bool(item.get("iscrowd")),
        bool(item.get("ignore")),
    )


def _numbers(values: Any, what: str) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise _Bad(f"its {what} are no list")
    if not set(map(type, values)) <= _NUMBERS:  # a loop in C: there are a hundred million
        value = next(value for value in values if type(value) not in _NUMBERS)
        raise _Bad(f"its {what} hold {str(value)[:80]}, which is no number")
    try:
        return tuple(map(float, values))
    except OverflowError:
        raise _Bad(f"its {what} hold a number that is too large") from None


def _box(bbox: Any) -> tuple[float, float, float, float] | None:
    if bbox is None or bbox == []:
        return None
    values = _numbers(bbox, "bbox")
    if len(values) != 4:  # noqa: PLR2004
        raise _Bad(f"its bbox has {len(values)} numbers: x, y, width and height are needed")
    x, y, width, height = values
    return x, y, x + width, y + height


def _segmentation(value: Any) -> tuple[tuple[tuple[float, ...], ...], Mask | None]:
    if not value:
        return (), None
    if isinstance(value, list):
        return tuple(_numbers(polygon, "segmentation") for polygon in value), None
    try:
        height, width = value["size"]
        counts = value["counts"]
        if isinstance(counts, str):
            return (), Mask.from_text(int(height), int(width), counts)
        return (), Mask.from_counts(int(height), int(width), [int(count) for count in counts])
    except (TypeError, KeyError, ValueError, OverflowError) as e:
        raise _Bad(f"its segmentation is no mask: {e}") from None
