"""Which objects were taken for what: a matrix whose last class is the background."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.ops import box_iou  # type: ignore[import-untyped]

from visiontrain.torchkit.mask_runs import Bools
from visiontrain.torchkit.object_found import PlacedObjects

__all__ = ["ObjectConfusion"]

#: The score above which something counts as found, and how much it overlaps what it is taken for.
_CONFIDENCE, _OVERLAP = 0.25, 0.45

#: How much of what is found must lie in what is passed over, for it to be passed over too.
_WITHIN = 0.5


class ObjectConfusion:
    """Counts by boxes. What overlaps most is put together first, each object and each box once.

    Args:
        classes: How many there are.
    """

    def __init__(self, classes: int) -> None:
        self._counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)

    def add(self, truth: PlacedObjects, passed_over: PlacedObjects, found: PlacedObjects) -> None:
        """Count an image; all in pixels of the same frame."""
        seen = found.chosen(found.scores > _CONFIDENCE)
        background = len(self._counts) - 1
        overlaps = box_iou(torch.from_numpy(truth.boxes), torch.from_numpy(seen.boxes)).numpy()
        rows, columns = np.nonzero(overlaps >= _OVERLAP)
        order = np.argsort(-overlaps[rows, columns], kind="stable")
        partners: dict[int, int] = {}
        taken: set[int] = set()
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            if row not in partners and column not in taken:
                partners[row] = column
                taken.add(column)
        for row, label in enumerate(truth.labels.tolist()):
            taken_for = int(seen.labels[partners[row]]) if row in partners else background
            self._counts[label, taken_for] += 1
        within = _within(seen, passed_over)
        for column, label in enumerate(seen.labels.tolist()):
            if column not in taken and not within[column]:
                self._counts[background, label] += 1

    def matrix(self) -> list[list[int]]:
        """A row a true class, a column a class that it was taken for."""
        counts: list[list[int]] = self._counts.tolist()
        return counts


def _within(found: PlacedObjects, passed_over: PlacedObjects) -> Bools:
    """Which boxes lie by half or more in one of their class that is passed over."""
    first = np.maximum(found.boxes[:, None, :2], passed_over.boxes[None, :, :2])
    last = np.minimum(found.boxes[:, None, 2:], passed_over.boxes[None, :, 2:])
    shared = (last - first).clip(min=0).prod(2)
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
    same = found.labels[:, None] == passed_over.labels[None]
    inside: Bools = ((shared >= _WITHIN * areas[:, None]) & same).any(1)
    return inside
