"""A label file of YOLO: an object a line, its numbers as shares of the image's width and height."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from visiontrain.datasets.annotation import Annotation, FlawCode

__all__ = ["BadLine", "Columns", "read_labels"]

_BOX = 5  # columns: class, centre, width and height
_QUAD = 9  # class and four corners
_TRIANGLE = 7
_SLACK = 0.01  # beyond 0 and 1, by rounding
_VISIBLE = 2.0


@dataclass(frozen=True)
class BadLine:
    """A line that can't be used, and why."""

    code: FlawCode
    reason: str


@dataclass(frozen=True)
class Columns:
    """What the columns of all label files mean.

    Args:
        names: Class names by number.
        keypoints: Number of keypoints that follow each box.
        dimensions: Columns of each.
    """

    names: Mapping[int, str]
    keypoints: int = 0
    dimensions: int = 3


class _Bad(Exception):  # noqa: N818 - a line, and no error of a program
    def __init__(self, code: FlawCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read_labels(data: bytes, columns: Columns, file: str) -> Iterator[Annotation | BadLine]:
    """The objects of an image, from the bytes of its label file; `file` is its name in what is found."""
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        words = line.split()
        if words:
            try:
                yield _row(words, columns, f"line {number}", file)
            except _Bad as bad:
                yield BadLine(bad.code, f"line {number}: {bad}")


def _row(words: list[bytes], columns: Columns, place: str, file: str) -> Annotation:
    try:
        values = tuple(map(float, words))
    except ValueError:
        text = b" ".join(words).decode("utf-8", "backslashreplace")
        raise _Bad("bad-annotations", f"not all of it are numbers: {text[:80]}") from None
    _check_columns(len(values), columns)
    for value in values:
        if value - value != 0:  # neither NaN nor infinite
            raise _Bad("bad-annotations", f"it has the number {value}")
    number, numbers = values[0], values[1:]
    name = columns.names.get(int(number)) if number == int(number) else None
    if name is None:
        first, last = min(columns.names), max(columns.names)
        raise _Bad("unknown-classes", f"class {number:g}, and there are names for {first} to {last}")
    if columns.keypoints:
        box = _box(numbers[:4])
        keypoints = _keypoints(numbers[4:], columns.dimensions)
        return Annotation(name, place, box=box, keypoints=keypoints, shares=True, file=file)
    if len(values) == _BOX:
        return Annotation(name, place, box=_box(numbers), shares=True, file=file)
    _check_shares(numbers)
    # Four corners may be an outline or a turned box: what all lines have decides.
    quad = numbers if len(values) == _QUAD else None
    return Annotation(name, place, polygons=(numbers,), quad=quad, shares=True, file=file)


def _check_columns(count: int, columns: Columns) -> None:
    if columns.keypoints:
        wanted = _BOX + columns.keypoints * columns.dimensions
        if count != wanted:
            raise _Bad(
                "bad-annotations",
                f"{count} columns; {wanted} are needed for a box with {columns.keypoints} keypoints of "
                f"{columns.dimensions} numbers",
            )
    elif count != _BOX and (count < _TRIANGLE or count % 2 == 0):
        hint = " (predictions have a sixth, the confidence)" if count == _BOX + 1 else ""
        raise _Bad("bad-annotations", f"{count} columns; a box has 5, an outline 7, 9, 11 or more{hint}")


def _box(values: tuple[float, ...]) -> tuple[float, float, float, float]:
    x, y, width, height = values
    if width > 0 and height > 0:  # what is not is told as a box without area
        _check_shares(values)
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _keypoints(values: tuple[float, ...], dimensions: int) -> tuple[float, ...]:
    found: list[float] = []
    for start in range(0, len(values), dimensions):
        x, y = values[start : start + 2]
        seen = values[start + 2] if dimensions == 3 else 0.0 if x < 0 or y < 0 else _VISIBLE  # noqa: PLR2004
        if seen:
            _check_shares((x, y))
        found += (x, y, seen)
    return tuple(found)


def _check_shares(values: tuple[float, ...]) -> None:
    for value in values:
        if not -_SLACK <= value <= 1 + _SLACK:
            raise _Bad("not-normalised", f"it has the number {value:g}")
