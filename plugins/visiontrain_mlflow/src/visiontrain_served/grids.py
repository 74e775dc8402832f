"""Coarse grids of scores over what a model sees, as pixels of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visiontrain_served.images import Array, Seen, to_png

__all__ = ["class_map", "grid_pixels"]

#: Scores in memory at once, at the most: a photo of 20 megapixels has 3 billion of them with 150 classes.
_AT_ONCE = 1 << 25

_BYTE = 256  # class indices


def grid_pixels(grid: Array, seen: Seen, rows: range, columns: range) -> Array:
    """What a grid is at pixels of the image: linear between the middles of its cells.

    Args:
        grid: Over all that the model sees, (..., height, width).
        seen: That.
        rows: Of the image.
        columns: Likewise.

    Returns:
        (..., rows, columns).
    """
    before, after, share = _between(rows, grid.shape[-2], seen, down=True)
    high = grid[..., before, :] * (1 - share[:, None]) + grid[..., after, :] * share[:, None]
    before, after, share = _between(columns, grid.shape[-1], seen, down=False)
    pixels: Array = high[..., before] * (1 - share) + high[..., after] * share
    return pixels


def _between(pixels: range, cells: int, seen: Seen, *, down: bool) -> tuple[Array, Array, Array]:
    """Of the middle of each pixel the cells before and after it, and how near it is to the latter, from 0 to 1."""
    axis = 1 if down else 0
    share = cells / seen.pixels.shape[0 if down else 1]
    middles = np.arange(pixels.start, pixels.stop) + 0.5
    at = np.clip((seen.first[axis] + middles * seen.scale[axis]) * share - 0.5, 0, cells - 1)
    before = np.floor(at).astype(np.int64)
    return before, np.minimum(before + 1, cells - 1), (at - before).astype(np.float32)


def class_map(scores: Array, seen: Seen, names: Sequence[str]) -> dict[str, Any]:
    """The class of the highest score at each pixel of the image.

    Args:
        scores: Of a grid over all that the model sees, (classes, height, width).
        seen: That.
        names: Of the classes.

    Returns:
        ``class_map``, a grey PNG of the image's size in base64 whose pixels are class indices (of 16 bits where there
        are more than 256 classes), ``label`` of the most pixels, and ``shares`` of the pixels by the class's name.
    """
    width, height = seen.image
    found = np.empty((height, width), dtype=np.uint8 if len(names) <= _BYTE else np.uint16)
    step = max(1, _AT_ONCE // (len(names) * width))
    for start in range(0, height, step):
        rows = range(start, min(height, start + step))
        found[rows.start : rows.stop] = grid_pixels(scores, seen, rows, range(width)).argmax(0)
    shares = np.bincount(found.ravel(), minlength=len(names)) / found.size
    return {
        "label": names[int(shares.argmax())],
        "shares": {name: float(share) for name, share in zip(names, shares, strict=True) if share},
        "class_map": to_png(found),
    }
