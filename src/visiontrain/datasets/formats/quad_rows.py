"""Text files of four-cornered boxes: rows as DOTA writes them, and rows as ICDAR does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Dialect", "QuadRow", "dialect_of", "read_quads"]

Dialect = Literal["dota", "icdar"]

#: What stands in the place of a text that could not be read: the box counts neither as found nor as missed.
_UNREADABLE = "###"
_TEXT = "text"  # the only class of ICDAR's data

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
# A class that is a number is none: such lines are of another format.
_DOTA = re.compile(rf"((?:{_NUMBER}\s+){{8}})(?!{_NUMBER}(?:\s|$))(\S+)(?:\s+(\d+))?\s*$")
_ICDAR = re.compile(rf"((?:\s*{_NUMBER}\s*,){{8}})(.*)$")
_HEAD = re.compile(r"(imagesource|gsd|acquisition dates?)\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class QuadRow:
    """One box, or why its line can't be used.

    Args:
        place: ``line 3``.
        quad: x and y of four corners, in pixels; empty where the line is bad.
        name: Of the class.
        difficult: Whether it is not to be counted.
        reason: What is wrong with the line.
    """

    place: str
    quad: tuple[float, ...] = ()
    name: str = ""
    difficult: bool = False
    reason: str = ""


def dialect_of(text: str) -> Dialect | None:
    """What the first row says; None where it is no such file."""
    for line in text.splitlines():
        if line.strip() and not _HEAD.match(line):
            return "dota" if _DOTA.match(line.strip()) else "icdar" if _ICDAR.match(line) else None
    return None


def read_quads(text: str, dialect: Dialect) -> Iterator[QuadRow]:
    """The rows of a file, one by one."""
    for number, line in enumerate(text.splitlines(), start=1):
        place = f"line {number}"
        if not line.strip() or (dialect == "dota" and _HEAD.match(line)):
            continue
        found = (_DOTA if dialect == "dota" else _ICDAR).match(line.strip())
        if found is None:
            wanted = "then the class and 0 or 1" if dialect == "dota" else "with commas between, then the text"
            yield QuadRow(place, reason=f"eight numbers are needed, {wanted}: {line.strip()[:80]}")
            continue
        quad = tuple(float(word) for word in re.split(r"[\s,]+", found[1].strip(" ,\t")))
        if dialect == "dota":
            yield QuadRow(place, quad, found[2], difficult=(found[3] or "0") != "0")
        else:
            yield QuadRow(place, quad, _TEXT, difficult=found[2].strip() == _UNREADABLE)
