"""Pascal VOC: an XML file of objects for each image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar
from xml.etree.ElementTree import Element

from visiontrain.datasets.annotation import Annotation
from visiontrain.datasets.formats.base import Listing, Split
from visiontrain.datasets.formats.documents import BadDocument, parse_xml, read_document
from visiontrain.datasets.formats.files import printable, walk
from visiontrain.datasets.formats.places import Finder, Named
from visiontrain.datasets.formats.voc_files import Unit, base_of, units_of
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["PascalVoc"]


@dataclass(frozen=True)
class PascalVoc:
    """A folder ``Annotations`` of XML files beside one of images, or XML files beside their images.

    ``ImageSets/Main`` says the splits; or folders named after them do.
    """

    name: ClassVar[str] = "pascal-voc"
    summary: ClassVar[str] = "Annotations with an XML file an image, JPEGImages, and ImageSets if you like"
    tasks: ClassVar[tuple[Task, ...]] = (Task.detect,)

    def recognises(self, source: str) -> bool:
        """A folder with such XML files inside or below."""
        return os.path.isdir(source) and bool(units_of(base_of(source)))

    def locate(self, source: str) -> tuple[str, str]:
        """The folder that has the annotations: the one given, or the only one below it.

        Raises:
            DatasetError: there are several below.
        """
        base = base_of(source)
        return base, base

    def read(self, source: str, task: Task | None, listing: Listing) -> None:  # noqa: ARG002 - one task only
        """List images and boxes.

        Raises:
            DatasetError: there are none, or none to train on.
        """
        units = units_of(source)
        splits = {unit.split for unit in units} | {split for unit in units for split, _ in unit.lists}
        if listing.for_training and "train" not in splits and splits != {None}:
            there = ", ".join(sorted(split for split in splits if split))
            raise DatasetError(
                f"{printable(source)} has images for {there}, and none to train on",
                instruction="Add a folder named train, or a list ImageSets/Main/train.txt.",
            )
        with closing(Named()) as named:
            reading = _Reading(source, listing, named)
            for unit in units:
                if unit.lists:
                    reading.read_lists(unit)
                else:
                    reading.read_all(unit)
            named.leave_out_others(source, listing, "unlisted" if units[0].lists else "unlabelled")
        if not reading.count:
            raise DatasetError(
                f"{printable(source)}: none of the XML files has an image",
                instruction="Put the images into JPEGImages, under the names of the XML files.",
            )


class _Reading:
    def __init__(self, root: str, listing: Listing, named: Named) -> None:
        self._root = root
        self._listing = listing
        self._named = named
        self._finder = Finder(root)
        self.count = 0

    def read_all(self, unit: Unit) -> None:
        """Every XML file is an image."""
        for file in walk(self._root, unit.annotations):
            if file.path.lower().endswith(".xml"):
                stem = os.path.relpath(os.path.splitext(file.path)[0], unit.annotations or ".")
                self._read(unit.split or "train", unit, stem)

    def read_lists(self, unit: Unit) -> None:
        """The lists name the images of each split."""
        for split, file in unit.lists:
            try:
                text = read_document(os.path.join(self._root, file)).decode("utf-8-sig")
            except (BadDocument, UnicodeDecodeError) as e:
                raise DatasetError(
                    f"{printable(os.path.join(self._root, file))} can't be used: {e}", instruction="Mend it."
                ) from e
            for line in text.splitlines():
                words = line.split()
                if words:
                    self._read(split, unit, words[0], listed=file)
        for one in walk(self._root, unit.annotations):
            stem, extension = os.path.splitext(os.path.relpath(one.path, unit.annotations or "."))
            if extension.lower() == ".xml" and self._finder.find(unit.images, stem) is None:
                self._listing.leave_out(one.path, "labels")

    def _read(self, split: Split, unit: Unit, stem: str, listed: str = "") -> None:
        xml = os.path.join(unit.annotations, f"{stem}.xml")
        found = self._finder.find(unit.images, stem)
        try:
            root = parse_xml(read_document(os.path.join(self._root, xml)))
        except BadDocument as bad:
            if listed and found is not None and isinstance(bad.__cause__, FileNotFoundError):
                self._named.add(split, found[0])
                self._listing.leave_out(found[0], "unlabelled", f"{printable(listed)} names it")
            elif listed and isinstance(bad.__cause__, FileNotFoundError):
                self._listing.leave_out(stem, "missing", f"{printable(listed)} names it")
            else:
                self._listing.add_flaw(xml, "bad-annotations", str(bad))
            return
        if found is None:  # in most data that is the name, and in some a wrong one
            written = os.path.basename((root.findtext("filename") or "").strip().replace("\\", "/"))
            found = self._finder.find(unit.images, os.path.splitext(written)[0]) if written else None
        if found is not None:
            self._hand_on(split, found, root, xml, listed)
        elif listed:
            self._listing.leave_out(stem, "missing", f"{printable(listed)} names it")
        else:
            self._listing.leave_out(xml, "labels")

    def _hand_on(self, split: Split, found: tuple[str, os.stat_result], root: Element, xml: str, listed: str) -> None:
        path, status = found
        if not self._named.add(split, path):
            self._listing.leave_out(listed or xml, "repeated", f"{printable(path)} once more")
            return
        self.count += 1
        annotations = list(self._annotations(root, xml))
        for name in dict.fromkeys(one.name for one in annotations):
            self._listing.add_class(name)
        self._listing.add_annotated_image(
            split, path, annotations, size=status.st_size, mtime_ns=status.st_mtime_ns, declared=_size(root)
        )

    def _annotations(self, root: Element, xml: str) -> Iterator[Annotation]:
        for number, found in enumerate(root.iterfind("object"), start=1):
            spot = f"object {number}"
            name = (found.findtext("name") or "").strip()
            box = found.find("bndbox")
            values = None if box is None else _corners(box)
            if not name or values is None:
                lacks = "a name" if not name else "a bndbox of xmin, ymin, xmax and ymax in numbers"
                self._listing.add_flaw(xml, "bad-annotations", f"{spot}: it lacks {lacks}")
                continue
            x1, y1, x2, y2 = values
            if x2 > x1 and y2 > y1:  # what is not is told with its own numbers, as a box without area
                # Pixels are counted from 1, and the last one is inside.
                values = (x1 - 1, y1 - 1, x2, y2)
            yield Annotation(
                name,
                spot,
                box=values,
                difficult=_is_set(found, "difficult"),
                truncated=_is_set(found, "truncated"),
                file=xml,
            )


def _corners(box: Element) -> tuple[float, float, float, float] | None:
    try:
        x1, y1, x2, y2 = (float(box.findtext(name) or "") for name in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return x1, y1, x2, y2


def _is_set(found: Element, name: str) -> bool:
    try:
        return float(found.findtext(name) or 0) > 0
    except ValueError:  # "Unspecified", as LabelImg writes it
        return False


def _size(root: Element) -> tuple[int, int] | None:
    try:
        width, height = int(root.findtext("size/width") or 0), int(root.findtext("size/height") or 0)
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None  # some tools write 0
