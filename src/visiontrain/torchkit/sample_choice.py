"""Which images of an evaluation are shown: a few, the same ones each time."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["CONFIDENCE", "OBJECTS", "SampleChoice"]

#: The least score of an object that is shown, and how many are of an image at the most.
CONFIDENCE, OBJECTS = 0.25, 60

_IMAGES = 8

T = TypeVar("T")


class SampleChoice(Generic[T]):
    """Keeps up to 8 images, the same ones at each evaluation: those with objects first, else as their names fall."""

    def __init__(self) -> None:
        self._kept: list[tuple[tuple[int, int], int, T]] = []
        self._offered = 0

    def offer(self, path: str, make: Callable[[], T], *, has_objects: bool) -> None:
        """Keep an image, or don't.

        Args:
            path: The file.
            make: Gives what is shown; asked only for what is kept.
            has_objects: Whether there is something to find.
        """
        # A heap's least item is the one that gives way.
        rank = (int(has_objects), -zlib.crc32(path.encode("utf-8", "surrogateescape")))
        self._offered += 1
        if len(self._kept) == _IMAGES and rank < self._kept[0][0]:
            return
        push = heapq.heappush if len(self._kept) < _IMAGES else heapq.heapreplace
        push(self._kept, (rank, self._offered, make()))

    def taken(self) -> list[T]:
        """Those that were kept, in an order that does not change from evaluation to evaluation."""
        return [sample for _, _, sample in sorted(self._kept, key=lambda kept: kept[0], reverse=True)]
