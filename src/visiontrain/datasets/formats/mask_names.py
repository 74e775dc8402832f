"""What the values of masks mean, as files beside them say: a list of classes in one of the usual shapes."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Mapping

from visiontrain.datasets.formats.base import MaskClasses
from visiontrain.datasets.formats.documents import BadDocument, read_document
from visiontrain.datasets.formats.files import printable
from visiontrain.errors import DatasetError

__all__ = ["IGNORED_NAMES", "LARGEST", "meaning_of", "names_beside"]

#: The largest value that a pixel of a mask may have.
LARGEST = 65535

#: Names of classes that say that a pixel is of none, lower case.
IGNORED_NAMES = frozenset(
    {"unlabeled", "unlabelled", "void", "ignore", "ignored", "__ignore__", "_ignore_", "unknown", "don't care"}
)

_IGNORED = 255  # where nobody says otherwise: Pascal VOC's, Cityscapes' and most others'
_LISTS = ("classes.txt", "class_names.txt", "labels.txt", "names.txt")
_ADE = "objectInfo150.txt"  # of ADE20K's scene parsing
_TABLE = "_classes.csv"  # as Roboflow writes it
_NUMBERED = re.compile(r"(\d+)\s*[:;,\t ]\s*(\S.*)")


def meaning_of(
    names: Mapping[int, str] | None, file: str, ignored: Collection[int] | None = None, ignore_value: int | None = None
) -> MaskClasses:
    """What values mean.

    Args:
        names: The name of each value; None: nobody says, and every value is a class.
        file: That has them, for what is raised.
        ignored: Those of `names` that are no classes; None: those whose name says so.
        ignore_value: A further value of pixels that are of no class; None: 255, unless that has a name.

    Raises:
        DatasetError: two values have one name, a name is empty, or a value is out of range.
    """
    extra = _IGNORED if ignore_value is None else ignore_value
    if names is None:
        return MaskClasses(None, tuple(sorted({extra, *(ignored or ())})))
    _check(names, file)
    if ignored is None:
        ignored = [value for value, name in names.items() if name.lower() in IGNORED_NAMES]
    kept = {value: name for value, name in sorted(names.items()) if value not in ignored and value != ignore_value}
    nowhere = {*ignored, *(() if extra in kept else (extra,))}
    return MaskClasses(kept, tuple(sorted(nowhere)))


def names_beside(folder: str) -> tuple[dict[int, str], str] | None:
    """Class names by value, and the file in `folder` that has them; None where there is none.

    Raises:
        DatasetError: the file can't be used.
    """
    for name in _LISTS:
        file = os.path.join(folder, name)
        if os.path.isfile(file):
            return _listed(_text(file), file), file
    for name, read in ((_ADE, _ade), (_TABLE, _table)):
        file = os.path.join(folder, name)
        if os.path.isfile(file):
            return read(_text(file), file), file
    return None


def _check(names: Mapping[int, str], file: str) -> None:
    if any(not name for name in names.values()):
        raise _bad(file, "has an empty name of a class")
    outside = [value for value in names if not 0 <= value <= LARGEST]
    if outside:
        raise _bad(file, f"names the value {outside[0]}: pixels have values from 0 to {LARGEST}")
    twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if twice:
        raise _bad(file, f"gives several classes one name: {', '.join(twice)}")


def _listed(text: str, file: str) -> dict[int, str]:
    """A name a line, from 0 on; or a number and a name in each line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [_NUMBERED.fullmatch(line) for line in lines]
    values = [int(match[1]) for match in found if match]
    if lines and len(values) == len(lines) and len(set(values)) == len(values):
        return {int(match[1]): match[2].strip() for match in found if match}
    if not lines:
        raise _bad(file, "is empty")
    return dict(enumerate(lines))


def _ade(text: str, file: str) -> dict[int, str]:
    """Columns with a tab between, the first the value and the last the names; 0 is anything else."""
    names = {}
    for line in text.splitlines()[1:]:
        cells = line.split("\t")
        if len(cells) > 1 and cells[0].strip().isdecimal():
            names[int(cells[0])] = cells[-1].strip()
    if not names:
        raise _bad(file, "has no rows of a number, a tab and a name")
    return {0: "unlabeled", **names}


def _table(text: str, file: str) -> dict[int, str]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if row]
    names = {int(row[0]): row[1] for row in rows if len(row) > 1 and row[0].isdecimal()}
    if not names:
        raise _bad(file, "has no rows of a pixel's value, a comma and a name")
    return names


def _text(file: str) -> str:
    try:
        return read_document(file).decode("utf-8-sig")
    except (BadDocument, UnicodeDecodeError) as e:
        raise _bad(file, f"can't be used: {e}") from e


def _bad(file: str, reason: str) -> DatasetError:
    return DatasetError(
        f"{printable(file)} {reason}",
        instruction="Name the class of each value of the masks' pixels: one name a line from 0 on, or lines such as "
        "`3: road`.",
    )
