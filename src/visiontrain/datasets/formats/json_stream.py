"""A large JSON object piece by piece: the items of its lists one at a time, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from visiontrain.datasets.formats.files import printable
from visiontrain.errors import DatasetError

__all__ = ["read_items"]

_CHUNK = 1 << 16  # characters
_LONGEST = 64 << 20  # characters of one item: what is larger is no list of small things
_SPACE = " \t\r\n"
_AFTER = frozenset(",]}" + _SPACE)  # what may come after a number


def read_items(file: str) -> Iterator[tuple[str, Any]]:
    """Name and item of all lists of the file's object, in the order of the file; of other members name and value.

    Raises:
        DatasetError: the file can't be read or is broken; says at which character.
    """
    try:
        with open(file, encoding="utf-8-sig", errors="strict") as source:
            yield from _Reader(source).members()
    except (ValueError, RecursionError) as e:
        raise DatasetError(f"{printable(file)} is broken: {e}", instruction="Export it again, or mend it there.") from e
    except OSError as e:
        raise DatasetError(
            f"{printable(file)} can't be read: {e.strerror or e}", instruction="Check that it may be read by you."
        ) from e


class _Reader:
    """The text that was read and not used yet. Raises ValueError for what is no JSON."""

    def __init__(self, source: TextIO) -> None:
        self._source = source
        self._text = ""
        self._at = 0
        self._before = 0  # characters that were dropped
        # NaN is no JSON, but Python writes it: whoever reads the number says where it stands.
        self._decode = json.JSONDecoder().raw_decode

    def members(self) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
        else:
            while True:
                name = self._value()
                if not isinstance(name, str):
                    raise ValueError(f"a name is expected at character {self._place}")  # noqa: TRY004 - of a file
                self._expect(":")
                if self._peek() == "[":
                    yield from ((name, item) for item in self._items())
                else:
                    yield name, self._value()
                if self._either(",}") == "}":
                    break
        if self._peek():
            raise ValueError(f"there is something after its end at character {self._place}")

    def _items(self) -> Iterator[Any]:
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._either(",]") == "]":
                return

    @property
    def _place(self) -> str:
        return f"{self._before + self._at + 1:,}"

    def _more(self) -> bool:
        """Read on; False at the end. What was used is dropped."""
        self._text, self._before, self._at = self._text[self._at :], self._before + self._at, 0
        # Twice as much each time, so that a long item is not tried again for each chunk of it.
        read = self._source.read(max(_CHUNK, len(self._text)))
        self._text += read
        return bool(read)

    def _peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _either(self, wanted: str) -> str:
        found = self._peek()
        if not found or found not in wanted:
            raise ValueError(
                f"{' or '.join(wanted)} is expected at character {self._place}"
                + ("" if found else ", where the file ends")
            )
        self._at += 1
        return found

    def _expect(self, wanted: str) -> None:
        self._either(wanted)

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as e:
                place, message = self._before + e.pos + 1, e.msg
                if len(self._text) - self._at > _LONGEST or not self._more():
                    raise ValueError(f"{message} at character {place:,}") from None
                continue
            length = end - self._at
            # A number may go on behind the end of what was read: "1" of "1.5", and of "1e5" too.
            if self._text[end - 1] in '"}]' or self._text[end : end + 1] in _AFTER or not self._more():
                self._at += length
                return value
