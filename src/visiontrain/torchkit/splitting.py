"""A batch in parts: what is computed at once where memory has no room for the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["even_parts", "fewer", "in_words"]


def even_parts(images: int, at_once: int) -> list[slice]:
    """As few parts of a batch as have `at_once` images at the most, none larger than another by more than one.

    Args:
        images: Of the batch.
        at_once: 0: all of them.
    """
    count = -(-images // at_once) if at_once else 1
    bounds = [number * images // count for number in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def fewer(parts: Sequence[slice]) -> int:
    """Half of what the largest part has. 0 where that is one image."""
    largest = max(part.stop - part.start for part in parts)
    return 0 if largest == 1 else -(-largest // 2)


def in_words(images: int, at_once: int) -> str:
    """How a batch is computed: "2 x 32", or "3 x 13 or 12" where its parts differ."""
    sizes = [part.stop - part.start for part in even_parts(images, at_once)]
    other = f" or {min(sizes)}" if min(sizes) < max(sizes) else ""
    return f"{len(sizes)} x {max(sizes)}{other}"
