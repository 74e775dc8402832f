"""The columns of a label file by their names, whatever people call them."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["EXPECTED", "Columns", "Header", "RowError", "find_columns", "read_header"]

#: How people name the columns, as `_plain` makes them.
_PATH = frozenset(
    {"path", "file", "filename", "file_name", "filepath", "file_path"}
    | {"image", "image_path", "image_file", "image_name", "img", "img_path"}
)
_LABEL = frozenset({"label", "labels", "class", "classes", "class_name", "category", "categories", "tag", "tags"})
_SPLIT = frozenset({"split", "set", "subset", "partition"})
#: Of data for other tasks that has a path and a class in each row as well.
_BOXES = frozenset({"xmin", "ymin", "x_min", "y_min", "bbox", "bboxes", "box", "boxes", "polygon", "segmentation"})

_DELIMITERS = (",", ";", "\t")

#: What a person is told who gave something else.
EXPECTED = (
    "Expected a first line such as path,label or path,label,split in CSV, or lines such as "
    '{"path": "images/1.jpg", "label": "cat"} in JSON lines.'
)


class RowError(Exception):
    """What is wrong with the row at hand."""


@dataclass(frozen=True)
class Columns:
    """Which column is which."""

    path: str
    label: str
    split: str | None


@dataclass(frozen=True)
class Header:
    """The first line of a CSV file: names of columns, and what stands between them."""

    delimiter: str
    names: tuple[str, ...]
    columns: Columns


def read_header(text: str) -> Header | None:
    """The first line by the delimiter with which it names a path and a label; None where there is none.

    Raises:
        RowError: two names could mean the same, or the data is for another task.
    """
    for delimiter in _DELIMITERS:
        names = tuple(next(csv.reader([text], delimiter=delimiter), ()))
        columns = find_columns(names)
        if columns is not None:
            return Header(delimiter, names, columns)
    return None


def find_columns(names: Sequence[str]) -> Columns | None:
    """Which names mean what; None where there is no path or no label among them.

    Raises:
        RowError: two could mean the same, or the data is for another task.
    """
    plain = {name: _plain(name) for name in names}
    found = {meant: [name for name in names if plain[name] in words] for meant, words in _MEANINGS.items()}
    if not found["path"] or not found["label"]:
        return None
    boxes = [name for name in names if plain[name] in _BOXES]
    if boxes:
        raise RowError(f"names boxes or outlines ({', '.join(boxes)}): no installed reader handles that yet")
    for meant, several in found.items():
        if len(several) > 1:
            raise RowError(f"names {' and '.join(several)}, which all could be the {meant}; give the others new names")
    return Columns(found["path"][0], found["label"][0], found["split"][0] if found["split"] else None)


_MEANINGS = {"path": _PATH, "label": _LABEL, "split": _SPLIT}


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())
