"""Random changes to training images with objects, from none to strong. torchvision chooses; all is painted once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors  # type: ignore[import-untyped]
from torchvision.transforms import v2  # type: ignore[import-untyped]

from visiontrain.torchkit.augmentation import AUGMENTATIONS
from visiontrain.torchkit.mask_runs import Bools
from visiontrain.torchkit.object_views import Canvas, Floats, View
from visiontrain.torchkit.transforms import ImageConfig, Pixels

__all__ = [
    "Chosen",
    "ObjectAugmentation",
    "ObjectTransform",
    "WholeImages",
    "chance",
    "colour_changes",
    "object_augmentation",
    "recoloured",
]


@dataclass(frozen=True)
class Chosen:
    """What is seen of an image, and which of its objects: bool, (objects)."""

    view: View
    kept: Bools


class ObjectTransform(Protocol):
    """From an image and its boxes to what the model sees. Must pickle."""

    @property
    def canvas(self) -> Canvas:
        """What is painted on."""
        ...

    def decode_share(self, width: int, height: int) -> float:
        """The share of its sides (above 0 to 1) at which an image of that size in pixels may be decoded."""
        ...

    def choose(self, width: int, height: int, boxes: Floats) -> Chosen:
        """Choose a view; random choices come from the global generators: run it after `seed_sample`.

        Args:
            width: Of the image in pixels, as it is shown.
            height: Likewise.
            boxes: Of its objects: left, top, right, bottom in pixels, (objects, 4).
        """
        ...

    def paint(self, image: Image.Image, view: View, size: tuple[int, int]) -> Pixels:
        """As `Canvas.paint` does, with other colours where they are changed. Random choices as in `choose`."""
        ...


class WholeImages:
    """Images as they are: for validation, prediction, and training without augmentation."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas

    def decode_share(self, width: int, height: int) -> float:
        """1."""
        return self.canvas.decode_share(width, height)

    def choose(self, width: int, height: int, boxes: Floats) -> Chosen:
        """The whole image with all of its objects."""
        return Chosen(self.canvas.whole(width, height), np.ones(len(boxes), dtype=bool))

    def paint(self, image: Image.Image, view: View, size: tuple[int, int]) -> Pixels:
        """As the canvas does."""
        return self.canvas.paint(image, view, size)


@dataclass(frozen=True)
class _Level:
    """How much is changed.

    Args:
        zoom_out: Share of the images that become a part of a larger one, and its sides at the most, in the image's.
        crop: Share of the images that a part is cut from, and its sides at the least, likewise.
        overlaps: Least overlaps of the part with one object at least, one of which is chosen. 1 stands for the
            whole, and must be among them: torchvision looks for a part until it finds one.
        colours: What changes them, if anything.
    """

    zoom_out: tuple[float, float]
    crop: tuple[float, float]
    overlaps: tuple[float, ...]
    colours: Any = None


def _level(name: str) -> _Level:
    if name == "light":
        return _Level((0.0, 1.0), (1.0, 0.8), (0.0, 1.0))
    every = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # SSD's
    if name == "standard":
        return _Level((0.5, 2.0), (0.8, 0.5), every, colour_changes(name))
    if name == "strong":
        return _Level((0.5, 4.0), (0.8, 0.3), every, colour_changes(name))
    raise ValueError(f"augmentation is one of {', '.join(AUGMENTATIONS)}, not {name!r}")


def colour_changes(name: str) -> Any:
    """What changes colours, for `recoloured`, by an augmentation's name: a torchvision transform; None: nothing."""
    if name == "standard":
        return v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.4, hue=0.02)
    return v2.RandomPhotometricDistort(p=0.5) if name == "strong" else None


def recoloured(image: Image.Image, changes: Any) -> Image.Image:
    """An RGB image with other colours. Draws from torch's global generator: run it after `seed_sample`.

    Args:
        image: Is left as it is.
        changes: From `colour_changes`.
    """
    if changes is None:
        return image
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    changed = changes(tv_tensors.Image(pixels))
    return Image.fromarray(changed.permute(1, 2, 0).contiguous().numpy())


def object_augmentation(name: str, config: ImageConfig) -> ObjectTransform:
    """The transform of training images by its name in `AUGMENTATIONS`.

    ``light``: mirror images, and parts that keep most of the image. ``standard``: mirror images, other colours, smaller
    parts, and smaller images on a larger ground. ``strong``: the same, more of it, as SSD and RT-DETR are trained.

    Raises:
        ValueError: there is no such name, or the model wants parts of images.
    """
    canvas = Canvas(config)
    return WholeImages(canvas) if name == "none" else ObjectAugmentation(canvas, name)


class ObjectAugmentation:
    """Parts of images, or images within larger ones; mirror images; other colours.

    Which part is chosen as in SSD (Liu et al. 2016), by torchvision's `RandomZoomOut` and `RandomIoUCrop`: an object
    whose middle is not in it is no longer there. Both are put together and painted in one go, so that boxes, outlines
    and masks lie exactly where the pixels do, and nothing larger than the image and the canvas is ever in memory.

    Args:
        canvas: What is painted on.
        name: light, standard or strong.
    """

    def __init__(self, canvas: Canvas, name: str) -> None:
        self.canvas, level = canvas, _level(name)
        self._zoom_out_share, largest = level.zoom_out
        self._crop_share, self._smallest = level.crop
        self._zoom_out = v2.RandomZoomOut(side_range=(1.0, largest))
        self._crop = v2.RandomIoUCrop(min_scale=self._smallest, sampler_options=list(level.overlaps))
        self._colours = level.colours

    def decode_share(self, width: int, height: int) -> float:
        """The share of its sides that leaves the smallest part no fewer pixels than the model sees."""
        tall, wide = self.canvas.extent(width, height)
        return min(1.0, max(tall / (self._smallest * height), wide / (self._smallest * width)))

    def choose(self, width: int, height: int, boxes: Floats) -> Chosen:
        """A random part, and the objects whose middle is in it."""
        left, top, seen_width, seen_height = 0, 0, width, height
        kept = np.ones(len(boxes), dtype=bool)
        if chance(self._zoom_out_share):
            before, above, after, below = self._zoom_out.make_params([_boxes(boxes, width, height)])["padding"]
            left, top = -before, -above
            seen_width, seen_height = width + before + after, height + above + below
        # Its smallest part must have a pixel.
        if chance(self._crop_share) and len(boxes) and min(seen_width, seen_height) * self._smallest >= 1:
            moved = boxes - (left, top, left, top)
            part = self._crop.make_params([_boxes(moved, seen_width, seen_height)])
            if part:  # else the whole was chosen
                left, top = left + part["left"], top + part["top"]
                seen_width, seen_height = part["width"], part["height"]
                kept = part["is_within_crop_area"].numpy()
        extent = self.canvas.extent(seen_width, seen_height)
        view = View(left, top, seen_width, seen_height, extent)
        return Chosen(replace(view, mirrored=chance(0.5)), kept)

    def paint(self, image: Image.Image, view: View, size: tuple[int, int]) -> Pixels:
        """With other colours."""
        return self.canvas.paint(image, view, size, lambda seen: recoloured(seen, self._colours))


def chance(share: float) -> bool:
    """True with that probability. Draws a number in any case: choices that follow do not depend on it."""
    return bool(torch.rand(()) < share)


def _boxes(boxes: Floats, width: int, height: int) -> Any:
    """As torchvision takes them; it reads the image's size from them."""
    return tv_tensors.BoundingBoxes(
        torch.from_numpy(boxes.reshape(-1, 4).astype(np.float64)), format="XYXY", canvas_size=(height, width)
    )
