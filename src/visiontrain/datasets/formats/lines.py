"""A text file line by line, in bounded memory, with the number of each line for whoever has to mend it."""

from __future__ import annotations

from collections.abc import Iterator

from visiontrain.datasets.formats.files import printable
from visiontrain.errors import DatasetError

__all__ = ["Numbered", "read_lines"]

_LONGEST = 1 << 20  # bytes of a line: what is longer is no list of images


def read_lines(file: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank, the mark at the file's beginning left out."""
    number = 0
    with open(file, "rb") as source:
        while data := source.readline(_LONGEST + 1):
            number += 1
            if number == 1:
                if data.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise _not_utf8(file, 1, "is UTF-16")
                data = data.removeprefix(b"\xef\xbb\xbf")
            if len(data) > _LONGEST:
                raise DatasetError(
                    f"{printable(file)}, line {number} is longer than {_LONGEST:,} bytes",
                    instruction="Give each image a line of its own.",
                )
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError as e:
                raise _not_utf8(file, number, f"is not UTF-8 (byte 0x{data[e.start]:02x} at {e.start + 1})") from e
            if text.strip():
                yield number, text


def _not_utf8(file: str, line: int, what: str) -> DatasetError:
    return DatasetError(
        f"{printable(file)}, line {line} {what}",
        instruction="Save it as UTF-8: spreadsheets call it CSV UTF-8.",
    )


class Numbered:
    """Hands out lines, and knows the number of the last one and of the one at which the present row begins."""

    def __init__(self, lines: Iterator[tuple[int, str]], line: int) -> None:
        self._lines, self.line, self.begin = lines, line, line
        self._inside = False

    def __iter__(self) -> Numbered:
        return self

    def __next__(self) -> str:
        self.line, text = next(self._lines)
        if not self._inside:
            self.begin = self.line
        self._inside ^= text.count('"') % 2 == 1
        return text
