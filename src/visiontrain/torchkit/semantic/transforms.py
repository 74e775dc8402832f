"""What is seen of an image and of its mask: the same part of both, colours interpolated, classes taken as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from visiontrain.torchkit.augmentation import AUGMENTATIONS
from visiontrain.torchkit.mask_runs import Bools
from visiontrain.torchkit.object_found import Ints
from visiontrain.torchkit.object_transforms import chance, colour_changes, recoloured
from visiontrain.torchkit.object_views import Canvas, Floats, View
from visiontrain.torchkit.semantic.mask_files import Labels
from visiontrain.torchkit.transforms import ImageConfig, Pixels

__all__ = ["SemanticAugmentation", "SemanticTransform", "WholeViews", "seen_labels", "semantic_augmentation"]


class SemanticTransform(Protocol):
    """From an image to what the model sees of it. Must pickle."""

    @property
    def canvas(self) -> Canvas:
        """What is painted on."""
        ...

    def decode_share(self, width: int, height: int) -> float:
        """The share of its sides (above 0 to 1) at which an image of that size in pixels may be decoded."""
        ...

    def choose(self, width: int, height: int) -> View:
        """Choose what is seen; random choices come from the global generators: run it after `seed_sample`.

        Args:
            width: Of the image in pixels, as it is shown.
            height: Likewise.
        """
        ...

    def paint(self, image: Image.Image, view: View, size: tuple[int, int]) -> Pixels:
        """As `Canvas.paint` does, with other colours where they are changed. Random choices as in `choose`."""
        ...


class WholeViews:
    """Images as they are: for validation, prediction, and training without augmentation.

    Args:
        canvas: What is painted on.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas

    def decode_share(self, width: int, height: int) -> float:
        """1."""
        return self.canvas.decode_share(width, height)

    def choose(self, width: int, height: int) -> View:
        """All of it."""
        return self.canvas.whole(width, height)

    def paint(self, image: Image.Image, view: View, size: tuple[int, int]) -> Pixels:
        """As the canvas does."""
        return self.canvas.paint(image, view, size)


@dataclass(frozen=True)
class _Level:
    """How much is changed.

    Args:
        scale: How large an image is painted at the least and the most, as a multiple of how validation sees it.
        stretch: By how much its width and height are changed against each other at the most, as a factor.
        colours: What changes them, if anything.
    """

    scale: tuple[float, float]
    stretch: float
    colours: Any


_LEVELS = {
    "light": ((1.0, 1.25), 1.0),
    "standard": ((0.75, 1.5), 1.1),
    "strong": ((0.5, 2.0), 1.2),  # the scales that SegFormer and UPerNet were trained with
}


def semantic_augmentation(name: str, config: ImageConfig) -> SemanticTransform:
    """The transform of training images by its name in `AUGMENTATIONS`.

    ``light``: mirror images, and parts that keep most of the image. ``standard``: mirror images, other colours, and
    images painted at 3/4 to 3/2 of their size. ``strong``: more of it, from half to twice the size.

    Raises:
        ValueError: there is no such name, or the model wants parts of images.
    """
    canvas = Canvas(config)
    if name == "none":
        return WholeViews(canvas)
    if name not in _LEVELS:
        raise ValueError(f"augmentation is one of {', '.join(AUGMENTATIONS)}, not {name!r}")
    return SemanticAugmentation(canvas, name)


class SemanticAugmentation:
    """Images painted larger or smaller, of which a part is seen; mirror images; other colours.

    As in the training of SegFormer (Xie et al. 2021): a random scale, and a random part of the size that the model
    sees; where the image is smaller than that, the rest has the mean colour and no class.

    Args:
        canvas: What is painted on.
        name: light, standard or strong.
    """

    def __init__(self, canvas: Canvas, name: str) -> None:
        scale, stretch = _LEVELS[name]
        self.canvas, self._level = canvas, _Level(scale, stretch, colour_changes(name))

    def decode_share(self, width: int, height: int) -> float:
        """The share of its sides that leaves the smallest part no fewer pixels than the model sees."""
        tall, wide = self.canvas.extent(width, height)
        most = self._level.scale[1] * math.sqrt(self._level.stretch)
        return min(1.0, max(most * tall / height, most * wide / width))

    def choose(self, width: int, height: int) -> View:
        """A random part, or all of the image at a random place."""
        scale = _between(*self._level.scale)
        stretch = self._level.stretch ** _between(-0.5, 0.5)
        tall, wide = self.canvas.config.size
        across, down = self.canvas.extent(width, height)[1] / width, self.canvas.extent(width, height)[0] / height
        seen_width, seen_height = wide / (across * scale * stretch), tall / (down * scale / stretch)
        left, top = _between(0.0, width - seen_width), _between(0.0, height - seen_height)
        return View(left, top, seen_width, seen_height, (tall, wide), mirrored=chance(0.5))

    def paint(self, image: Image.Image, view: View, size: tuple[int, int]) -> Pixels:
        """With other colours."""
        return self.canvas.paint(image, view, size, lambda seen: recoloured(seen, self._level.colours))


def _between(one: float, other: float) -> float:
    """A random number between two, whichever is larger."""
    share = float(torch.rand((), dtype=torch.float64))
    return one + (other - one) * share


def seen_labels(mask: Labels, view: View, size: tuple[int, int], ignored: int) -> Labels:
    """The class of each pixel of the canvas: that of the mask's pixel which its middle lies in.

    Args:
        mask: Of the whole image, (height, width).
        view: What is seen of it.
        size: Height and width of the canvas in pixels.
        ignored: For what lies outside of the image.

    Returns:
        (height, width) of the canvas, of the mask's type.
    """
    tall, wide = view.extent
    rows, within_rows = _nearest(view.places(tall, across=False), view.height / tall, mask.shape[0])
    columns, within_columns = _nearest(view.places(wide, across=True), view.width / wide, mask.shape[1])
    found: Labels = np.full(size, ignored, dtype=mask.dtype)
    seen = mask[rows[:, None], columns[None]]
    found[:tall, :wide] = np.where(within_rows[:, None] & within_columns[None], seen, ignored)
    return found


def _nearest(places: Floats, side: float, count: int) -> tuple[Ints, Bools]:
    """Of the canvas' pixels those of the image that their middles lie in, and which of them are painted.

    Args:
        places: Where their middles lie, in pixels of the image.
        side: How long they are there.
        count: Pixels of the image.
    """
    # Only what lies wholly in the image is painted; rounding must not cost a pixel.
    slack = side * (0.5 - 1e-6)
    return np.floor(places).astype(np.int64).clip(0, count - 1), (places >= slack) & (places <= count - slack)
