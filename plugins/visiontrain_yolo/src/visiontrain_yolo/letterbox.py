"""What a detector sees of an image, and where that lies in the image."""

from __future__ import annotations

from dataclasses import dataclass

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import numpy as np
import torch
from PIL import Image

from visiontrain.torchkit.transforms import Pixels
from visiontrain_yolo.dataset import resize, shape_for

__all__ = ["FILL", "Letterbox", "Placement"]

#: How bright the border is.
FILL = 114


@dataclass(frozen=True)
class Placement:
    """Where an image lies in what the model sees. All in pixels; pairs are of x and y.

    Args:
        image: Width and height of the image, as it is shown.
        inner: What it is resized to.
        first: Its top left corner within the border.
    """

    image: tuple[int, int]
    inner: tuple[int, int]
    first: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of what the model sees for one of the image."""
        return self.inner[0] / self.image[0], self.inner[1] / self.image[1]

    def to_image(self, points: torch.Tensor) -> torch.Tensor:
        """Points (..., 2) of what the model sees as points of the image."""
        return (points - points.new_tensor(self.first)) / points.new_tensor(self.scale)

    def clipped(self, points: torch.Tensor) -> torch.Tensor:
        """Points (..., 2) of the image, moved to its edge where they lie outside."""
        return torch.minimum(points.clamp(min=0), points.new_tensor(self.image))


class Letterbox:
    """An image as validation sees it: resized, in the middle of a border. Images of other shapes give other shapes.

    Args:
        image_size: Of the longer side, in pixels; a multiple of `stride`.
        stride: The model's largest.
        stretch: Both sides are resized, and there is no border.
        square: The border makes every image `image_size` wide and high, as exported models want them.
    """

    def __init__(self, image_size: int, stride: int, *, stretch: bool, square: bool = False) -> None:
        self._image_size, self._stride = image_size, stride
        self._stretch, self._square = stretch, square

    def decode_share(self, width: int, height: int) -> float:  # noqa: ARG002 - as `Transform` has it
        """1: the image is decoded whole, as validation does."""
        return 1.0

    def __call__(self, image: Image.Image) -> Pixels:
        """RGB to RGB, uint8 (height, width, 3)."""
        resized = resize(np.asarray(image), self._image_size, stretch=self._stretch)[:, :, ::-1]
        height, width = resized.shape[:2]
        whole = self._shape(*image.size)
        left, top = _first(whole, (width, height))
        found = np.full((*whole, 3), FILL, dtype=np.uint8)
        found[top : top + height, left : left + width] = resized
        return found

    def placement(self, width: int, height: int) -> Placement:
        """Where an image of that size lies."""
        inner = width, height
        if self._stretch:
            inner = self._image_size, self._image_size
        elif max(inner) != self._image_size:
            ratio = self._image_size / max(inner)
            inner = tuple(min(int(np.ceil(side * ratio)), self._image_size) for side in inner)  # type: ignore[assignment]
        return Placement((width, height), inner, _first(self._shape(width, height), inner))

    def _shape(self, width: int, height: int) -> tuple[int, int]:
        if self._square:
            return self._image_size, self._image_size
        return shape_for(width, height, self._image_size, self._stride, stretch=self._stretch)


def _first(whole: tuple[int, int], inner: tuple[int, int]) -> tuple[int, int]:
    """Left and top of what lies in the middle; half a pixel is rounded as Ultralytics does."""
    height, width = whole
    return round((width - inner[0]) / 2 - 0.1), round((height - inner[1]) / 2 - 0.1)
