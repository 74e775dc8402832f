"""YOLO folders: a ``data.yaml``, images, and a text file of labels for each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

from visiontrain.datasets.annotation import Annotation
from visiontrain.datasets.formats.base import Listing, Split
from visiontrain.datasets.formats.documents import BadDocument, read_document
from visiontrain.datasets.formats.files import IMAGE_EXTENSIONS, names_in, printable, walk
from visiontrain.datasets.formats.lines import read_lines
from visiontrain.datasets.formats.mask_description import describes_masks
from visiontrain.datasets.formats.places import Named, look, place
from visiontrain.datasets.formats.yolo_description import Description, read_description
from visiontrain.datasets.formats.yolo_labels import BadLine, Columns, read_labels
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["YoloFolder"]

_EXTENSIONS = (".yaml", ".yml")
_USUAL = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_HEAD = 1 << 20


@dataclass(frozen=True)
class YoloFolder:
    """A ``data.yaml`` as Ultralytics has it, or a folder with one directly inside.

    The labels of ``images/train/1.jpg`` are in ``labels/train/1.txt``: the last folder named ``images`` of an image's
    path becomes ``labels``. Where there is none they lie beside the image.
    """

    name: ClassVar[str] = "yolo"
    summary: ClassVar[str] = "a data.yaml with train, val and names; images and labels"
    tasks: ClassVar[tuple[Task, ...]] = (Task.detect, Task.segment, Task.pose, Task.obb)

    def recognises(self, source: str) -> bool:
        """A YAML file that names no masks; a folder by one inside that has names, and images to train on or to test."""
        if os.path.isdir(source):
            return bool(_descriptions_in(source))
        return source.lower().endswith(_EXTENSIONS) and not describes_masks(source)

    def locate(self, source: str) -> tuple[str, str]:
        """The YAML file, and the folder that its paths are relative to.

        Raises:
            DatasetError: the folder has several, or the file can't be used.
        """
        file = _only_file(source) if os.path.isdir(source) else source
        return file, read_description(file).root

    def read(self, source: str, task: Task | None, listing: Listing) -> None:  # noqa: ARG002 - the labels say it
        """List images and labels of all splits.

        Raises:
            DatasetError: the description can't be used, there are no images to train on, or not one label file.
        """
        described = read_description(source)
        if listing.for_training and "train" not in described.splits:
            raise DatasetError(
                f"{printable(source)} names no images to train on",
                instruction="Add the key `train`, a folder of images or a text file that lists them.",
            )
        listing.add_classes(list(described.names.values()))
        if list(described.names) != list(range(len(described.names))):
            last = len(described.names) - 1
            listing.add_note(
                "classes-renumbered", f"`names` has gaps: its {last + 1} classes became 0 to {last}, in their order"
            )
        if described.skeleton is not None:
            listing.set_skeleton(described.skeleton)
        _Reading(source, described, listing).read()


def _descriptions_in(folder: str) -> list[str]:
    """YAML files directly inside that describe YOLO data, sorted."""
    names = (name for extension in _EXTENSIONS for name in names_in(folder, extension))
    return sorted(name for name in names if _describes(os.path.join(folder, name)))


def _describes(file: str) -> bool:
    try:
        head = read_document(file, _HEAD)
    except BadDocument:
        return False
    return bool(re.search(rb"(?m)^names\s*:", head) and re.search(rb"(?m)^(train|val|test)\s*:", head))


def _only_file(folder: str) -> str:
    found = _descriptions_in(folder)
    usual = [name for name in found if name.lower() in _USUAL]
    if len(found) > 1 and len(usual) != 1:
        raise DatasetError(
            f"{printable(folder)} has several descriptions of YOLO data: {', '.join(map(printable, found))}",
            instruction=f"Give the one that counts, such as {printable(os.path.join(folder, found[0]))}.",
        )
    return os.path.join(folder, usual[0] if len(usual) == 1 else found[0])


class _Reading:
    """One pass over all splits."""

    def __init__(self, source: str, described: Description, listing: Listing) -> None:
        self._source = source
        self._splits = described.splits
        self._root = described.root
        points = len(described.skeleton.names) if described.skeleton else 0
        self._columns = Columns(described.names, points, described.dimensions)
        self._listing = listing
        self._labelled = 0
        self._example = ""

    def read(self) -> None:
        with closing(Named()) as named:
            for split, places in self._splits.items():
                count = sum(self._read_place(split, one, named) for one in places)
                if split == "train" and not count and self._listing.for_training:
                    raise DatasetError(
                        f"{printable(self._source)}: there are no images in {printable(', '.join(places))}",
                        instruction="Check `train` and `path`, and that the images are there.",
                    )
            if not all(os.path.isdir(one) for places in self._splits.values() for one in places):
                named.leave_out_others(self._root, self._listing)  # a folder has no others
        if not self._labelled:
            raise DatasetError(
                f"{printable(self._source)}: not one image has a label file; that of {printable(self._example)} would "
                f"be {printable(_label_path(self._root, self._example))}",
                instruction="Put the labels there: the last folder named images becomes labels, .txt ends the name.",
            )

    def _read_place(self, split: Split, where: str, named: Named) -> int:
        if os.path.isdir(where):
            folder = place(self._root, where)
            images = self._in_folder("" if folder == self._root else folder)
        else:
            images = self._in_list(where)
        count = 0
        for path, size, mtime_ns in images:
            if named.add(split, path):
                self._listing.add_annotated_image(split, path, self._annotations(path), size=size, mtime_ns=mtime_ns)
                count += 1
            else:
                self._listing.leave_out(path, "repeated", f"{split} has it already")
        return count

    def _in_folder(self, folder: str) -> Iterator[tuple[str, int, int]]:
        whole = os.path.join(self._root, folder)
        apart = _label_folder(whole)
        for file in walk(self._root, folder):
            if file.kind == "image":
                yield file.path, file.size, file.mtime_ns
            elif apart is not None or not file.path.endswith(".txt"):
                self._listing.leave_out(file.path, file.kind)
        labels = place(self._root, apart or whole)
        for label in _orphans(self._root, labels, place(self._root, whole)):
            self._listing.leave_out(label, "labels")

    def _in_list(self, file: str) -> Iterator[tuple[str, int, int]]:
        folder = os.path.dirname(file)
        try:
            for number, (line, text) in enumerate(read_lines(file), start=1):
                self._listing.reading(number)
                written = text.rstrip("\r\n")
                found: tuple[str, os.stat_result] | str = "there is no such file"
                for base in dict.fromkeys((folder, self._root)):
                    path = place(self._root, os.path.join(base, written))
                    found = look(self._root, path, os.path.join(base, written))
                    if not isinstance(found, str):
                        break
                if isinstance(found, str):
                    name = printable(os.path.basename(file))
                    self._listing.leave_out(
                        place(self._root, os.path.join(folder, written)), "missing", f"{name}, line {line}: {found}"
                    )
                else:
                    yield found[0], found[1].st_size, found[1].st_mtime_ns
        except OSError as e:
            raise DatasetError(
                f"{printable(file)} can't be read: {e.strerror or e}", instruction="Check that it may be read by you."
            ) from e

    def _annotations(self, image: str) -> list[Annotation]:
        path = _label_path(self._root, image)
        shown = place(self._root, path)
        try:
            data = read_document(path)
        except BadDocument as bad:
            if isinstance(bad.__cause__, FileNotFoundError):
                self._example = self._example or image
            else:
                self._listing.add_flaw(shown, "bad-annotations", str(bad))
            return []
        self._labelled += 1
        found = []
        for row in read_labels(data, self._columns, shown):
            if isinstance(row, BadLine):
                self._listing.add_flaw(shown, row.code, row.reason)
            else:
                found.append(row)
        return found


def _label_folder(folder: str) -> str | None:
    """The folder of the labels of images in `folder`; None where they lie beside them."""
    head, found, tail = f"{folder}/".rpartition("/images/")
    return f"{head}/labels/{tail}".rstrip("/") if found else None


def _label_path(root: str, image: str) -> str:
    whole = os.path.join(root, image)
    folder, name = os.path.split(whole)
    return os.path.join(_label_folder(folder) or folder, os.path.splitext(name)[0] + ".txt")


def _orphans(root: str, labels: str, images: str) -> Iterator[str]:
    """Label files whose image is not there."""
    current, stems = None, set[str]()
    for file in walk(root, labels):
        if not file.path.endswith(".txt") or os.path.basename(file.path) == "classes.txt":
            continue
        folder = os.path.dirname(file.path)
        if folder != current:
            current = folder
            below = os.path.relpath(os.path.join(root, folder), os.path.join(root, labels))
            stems = _stems(os.path.join(root, images, below))
        if os.path.splitext(os.path.basename(file.path))[0] not in stems:
            yield file.path


def _stems(folder: str) -> set[str]:
    names = (os.path.splitext(name) for name in names_in(folder, ""))
    return {stem for stem, extension in names if extension.lower() in IMAGE_EXTENSIONS}
