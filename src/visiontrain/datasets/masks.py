"""Masks of objects as runs of pixels, in COCO's encoding; values of masks of classes. Standard library only."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

__all__ = ["Mask", "PixelClasses"]

_FIRST = 48  # "0": what is added to five bits and their mark to make a letter
_BITS, _SIGN, _MORE = 0x1F, 0x10, 0x20
_LONGEST = 13  # letters of one number: 64 bits

_VALUES = 1 << 16  # that a pixel may have
_IGNORED_BYTE, _IGNORED_WORD = 255, 65535


@dataclass(frozen=True)
class Mask:
    """Which pixels of an image belong to an object.

    Args:
        height: Of the image, in pixels.
        width: As `height`.
        data: Lengths of runs of pixels in COCO's compressed text, ASCII: column by column from the top left, the first
            run outside of the object. With `height` and `width` as its ``size`` it is what pycocotools takes.
    """

    height: int
    width: int
    data: bytes

    @classmethod
    def from_counts(cls, height: int, width: int, counts: Iterable[int]) -> Mask:
        """A mask from the lengths of its runs, as uncompressed COCO files have them.

        Raises:
            ValueError: they don't add up to the number of pixels, or one is negative.
        """
        lengths = list(counts)
        _check(lengths, height, width)
        return cls(height, width, _compress(lengths))

    @classmethod
    def from_text(cls, height: int, width: int, text: str | bytes) -> Mask:
        """A mask from COCO's compressed text, checked.

        Raises:
            ValueError: it is no such text, or not of an image of that size.
        """
        data = text.encode("ascii") if isinstance(text, str) else text
        _check(list(_expand(data)), height, width)
        return cls(height, width, data)

    def counts(self) -> tuple[int, ...]:
        """Lengths of the runs in pixels: outside, inside, outside..., in columns from the top left."""
        return tuple(_expand(self.data))

    @property
    def area(self) -> int:
        """Number of the object's pixels."""
        return sum(self.counts()[1::2])

    def box(self) -> tuple[float, float, float, float] | None:
        """The smallest box around it, x1, y1, x2, y2 in pixels; None where it has no pixel."""
        left, top, right, bottom = self.width, self.height, 0, 0
        for start, end in self._inside():
            first, last = start // self.height, (end - 1) // self.height
            left, right = min(left, first), max(right, last + 1)
            whole = first != last  # then it reaches the bottom of one column and the top of the next
            top = min(top, 0 if whole else start % self.height)
            bottom = max(bottom, self.height if whole else (end - 1) % self.height + 1)
        return (float(left), float(top), float(right), float(bottom)) if right else None

    def pixels(self) -> bytes:
        """A byte a pixel, 1 inside and 0 outside, row by row: `height` times `width` bytes."""
        runs = zip(self.counts(), chain.from_iterable(repeat((b"\0", b"\1"))), strict=False)
        columns = b"".join(value * length for length, value in runs)
        return b"".join(columns[row :: self.height] for row in range(self.height))

    def _inside(self) -> Iterator[tuple[int, int]]:
        """Begin and end of the runs inside that are not empty."""
        at = 0
        for number, length in enumerate(self.counts()):
            if number % 2 and length:
                yield at, at + length
            at += length


@dataclass(frozen=True)
class PixelClasses:
    """What the values of pixels say, in masks that give each pixel of an image a class: those of the task semantic.

    Args:
        values: The value of each class, by class index. There may be gaps, and any order.
        ignored: Values of pixels that are of no class: neither trained on nor counted.
    """

    values: tuple[int, ...]
    ignored: tuple[int, ...]

    @property
    def ignore_value(self) -> int:
        """What `table` gives for a pixel of no class: 255, or 65535 where 255 may be a class index."""
        return _IGNORED_BYTE if len(self.values) <= _IGNORED_BYTE else _IGNORED_WORD

    def table(self) -> array[int]:
        """The class index by pixel value, and `ignore_value` for all that are of no class: 65536 numbers of 16 bits."""
        table = array("H", [self.ignore_value]) * _VALUES
        for label, value in enumerate(self.values):
            table[value] = label
        return table


def _check(counts: Sequence[int], height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"a mask of {width} x {height} pixels")
    if any(count < 0 for count in counts):
        raise ValueError("a run of the mask has a negative length")
    if sum(counts) != height * width:
        raise ValueError(f"the mask's runs add up to {sum(counts):,} pixels, not to {width} x {height}")


def _compress(counts: Sequence[int]) -> bytes:
    """Numbers in groups of five bits, the least first; from the fourth on differences to the last but one."""
    letters = bytearray()
    for number, count in enumerate(counts):
        rest = count - counts[number - 2] if number > 2 else count  # noqa: PLR2004 - COCO's rule
        while True:
            group = rest & _BITS
            rest >>= 5
            if rest == (-1 if group & _SIGN else 0):
                letters.append(group + _FIRST)
                break
            letters.append((group | _MORE) + _FIRST)
    return bytes(letters)


def _expand(data: bytes) -> Iterator[int]:
    before, last = 0, 0
    value = shift = number = 0
    for letter in data:
        group = letter - _FIRST
        if not 0 <= group <= _BITS | _MORE or shift >= 5 * _LONGEST:
            raise ValueError("the mask is not in COCO's compressed text")
        value |= (group & _BITS) << shift
        shift += 5
        if group & _MORE:
            continue
        if group & _SIGN:
            value -= 1 << shift
        if number > 2:  # noqa: PLR2004 - COCO's rule
            value += before
        yield value
        before, last = last, value
        number += 1
        value = shift = 0
    if shift:
        raise ValueError("the mask's text is cut off")
