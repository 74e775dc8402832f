"""Masks that a model gives as a coarse grid of scores, as pixels of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

__all__ = ["Axis", "interpolated", "positive_pixels"]


@dataclass(frozen=True)
class Axis:
    """How an image lies along one side of a grid.

    Args:
        cells: How many the grid has.
        offset: Where the image begins, in cells.
        scale: Cells for a pixel of the image.
    """

    cells: int
    offset: float
    scale: float

    def between(self, pixels: range) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of the middle of each pixel the cells before and after it, and how near it is to the latter, from 0 to 1."""
        middles = torch.arange(pixels.start, pixels.stop, dtype=torch.float64) + 0.5
        at = (self.offset + middles * self.scale - 0.5).clamp(0, self.cells - 1)
        before = at.floor()
        return before.long(), (before.long() + 1).clamp(max=self.cells - 1), (at - before).float()

    def pixels(self, first: int, last: int, count: int) -> range:
        """Those of `count` pixels that the cells `first` to `last` have a share in."""
        start = 0 if first == 0 else math.floor((first - 0.5 - self.offset) / self.scale - 0.5)
        stop = count if last == self.cells - 1 else math.ceil((last + 1.5 - self.offset) / self.scale + 0.5)
        return range(min(count, max(0, start)), min(count, max(0, stop)))


def interpolated(grid: torch.Tensor, rows: range, columns: range, *, down: Axis, across: Axis) -> torch.Tensor:
    """What a grid (height, width) is at an image's pixels: linear between the middles of its cells.

    Args:
        grid: float32.
        rows: Of the image.
        columns: Likewise.
        down: How the image's rows lie on the grid's.
        across: Likewise its columns.

    Returns:
        float32, (rows, columns), on the grid's device.
    """
    before, after, share = (each.to(grid.device) for each in down.between(rows))
    high = torch.lerp(grid[before], grid[after], share[:, None])
    before, after, share = (each.to(grid.device) for each in across.between(columns))
    return torch.lerp(high[:, before], high[:, after], share)


def positive_pixels(
    grid: torch.Tensor, *, down: Axis, across: Axis, height: int, width: int
) -> tuple[range, range] | None:
    """Rows and columns outside of which no pixel is above 0; None where none is.

    Args:
        grid: Scores, float32, (height, width), on the CPU.
        down: As for `interpolated`.
        across: Likewise.
        height: Of the image, in pixels.
        width: Likewise.
    """
    positive = grid > 0
    rows, columns = positive.any(1).nonzero()[:, 0], positive.any(0).nonzero()[:, 0]
    if len(rows) == 0:
        return None
    return (
        down.pixels(int(rows[0]), int(rows[-1]), height),
        across.pixels(int(columns[0]), int(columns[-1]), width),
    )
