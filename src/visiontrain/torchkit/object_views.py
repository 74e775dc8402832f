"""What a detector sees of an image: a part of it, on a canvas; and where its objects lie there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from visiontrain.torchkit.transforms import ImageConfig, Pixels

__all__ = ["Canvas", "Floats", "View", "corners_to_centres"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class View:
    """A part of an image, and how large it is seen.

    Args:
        left: Of the part, in pixels of the image as it is shown; below 0 where it begins outside of the image.
        top: Likewise.
        width: Likewise; the part may reach beyond the image.
        height: Likewise.
        extent: Height and width in pixels of the canvas.
        mirrored: Left and right are exchanged.
    """

    left: float
    top: float
    width: float
    height: float
    extent: tuple[int, int]
    mirrored: bool = False

    def shares(self, points: Floats) -> Floats:
        """Points (..., 2) of x and y in pixels of the image as shares of the view: 0 to 1 for those inside."""
        found = (points - (self.left, self.top)) / (self.width, self.height)
        if self.mirrored:
            found[..., 0] = 1 - found[..., 0]
        return found

    def boxes(self, boxes: Floats) -> Floats:
        """Boxes (n, 4) of left, top, right, bottom as shares of the view, cut at its sides; empty for those outside."""
        corners = self.shares(boxes.reshape(-1, 2, 2)).clip(0, 1)
        return np.concatenate([corners.min(1), corners.max(1)], axis=1)

    def places(self, count: int, *, across: bool) -> Floats:
        """Where the middles of the extent's columns (else its rows) lie in the image, in pixels.

        Args:
            count: How many columns or rows the extent has.
            across: Columns.
        """
        shares = (np.arange(count) + 0.5) / count
        if across:
            return self.left + (1 - shares if self.mirrored else shares) * self.width
        return self.top + shares * self.height


def corners_to_centres(boxes: Floats) -> Floats:
    """Left, top, right, bottom (n, 4) to centre x, centre y, width, height."""
    first, last = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(first + last) / 2, last - first], axis=1)


class Canvas:
    """What all images of a model are laid on: they fill it, or keep their shape and lie in its top left corner.

    It is a `Transform` of whole images, too.

    Args:
        config: The model's. `crop_mode` is ``squash``: both sides are resized to the canvas; or ``border``: the image
            keeps its shape, and a border of the mean colour is right of it or below. `crop_pct` must be 1.

    Raises:
        ValueError: it wants parts of images, in which not all objects would be.
    """

    def __init__(self, config: ImageConfig) -> None:
        if config.crop_mode not in ("squash", "border") or config.crop_pct != 1:
            raise ValueError(f"objects need crop_mode squash or border and crop_pct 1, not {config}")
        self.config = config

    def extent(self, width: float, height: float) -> tuple[int, int]:
        """Height and width in pixels that an image of that size takes of the canvas."""
        tall, wide = self.config.size
        if self.config.crop_mode == "squash":
            return tall, wide
        scale = min(tall / height, wide / width)
        return min(tall, max(1, round(height * scale))), min(wide, max(1, round(width * scale)))

    def whole(self, width: int, height: int) -> View:
        """The view of all of an image of that size."""
        return View(0, 0, width, height, self.extent(width, height))

    def decode_share(self, width: int, height: int) -> float:  # noqa: ARG002 - as `Transform` has it
        """1: the image is decoded whole, as it will be in production."""
        return 1.0

    def __call__(self, image: Image.Image) -> Pixels:
        """An RGB image on the canvas, uint8 (height, width, 3)."""
        return self.paint(image, self.whole(*image.size), image.size)

    def paint(
        self,
        image: Image.Image,
        view: View,
        size: tuple[int, int],
        recolour: Callable[[Image.Image], Image.Image] | None = None,
    ) -> Pixels:
        """What is seen of an image, on the canvas.

        Args:
            image: RGB; may have been decoded at a part of its sides.
            view: What is seen, in pixels of the whole image.
            size: Width and height of that.
            recolour: Changes the colours of what is seen, not those of the border.

        Returns:
            uint8 (height, width, 3). Where the view reaches beyond the image it has the border's colour.
        """
        fill = np.array([round(255 * mean) for mean in self.config.mean], dtype=np.uint8)
        found = np.empty((*self.config.size, 3), dtype=np.uint8)
        found[:] = fill
        tall, wide = view.extent
        # Only whole pixels of the image are painted, from exactly the part of it that lies below them.
        columns = _covered(-view.left * wide / view.width, (size[0] - view.left) * wide / view.width, wide)
        rows = _covered(-view.top * tall / view.height, (size[1] - view.top) * tall / view.height, tall)
        if not columns or not rows:
            return found
        across, down = image.width / size[0], image.height / size[1]
        box = (
            max(0.0, (view.left + columns.start * view.width / wide) * across),
            max(0.0, (view.top + rows.start * view.height / tall) * down),
            min(float(image.width), (view.left + columns.stop * view.width / wide) * across),
            min(float(image.height), (view.top + rows.stop * view.height / tall) * down),
        )
        seen = image.resize((len(columns), len(rows)), self.config.resampling, box=box)
        if recolour is not None:
            seen = recolour(seen)
        if view.mirrored:
            seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            columns = range(wide - columns.stop, wide - columns.start)
        found[rows.start : rows.stop, columns.start : columns.stop] = np.asarray(seen)
        return found


def _covered(first: float, last: float, count: int) -> range:
    """Those of `count` pixels that lie wholly between two places; rounding must not cost one."""
    return range(max(0, math.ceil(first - 1e-6)), min(count, math.floor(last + 1e-6)))
