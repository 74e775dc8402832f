"""Random changes to training images, from none to strong."""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
from PIL import Image, ImageEnhance
from torchvision.transforms import InterpolationMode  # type: ignore[import-untyped]
from torchvision.transforms.v2 import RandAugment  # type: ignore[import-untyped]

from visiontrain.torchkit.transforms import EvalTransform, ImageConfig, LightAugmentation, Pixels, Transform

__all__ = ["AUGMENTATIONS", "Augmentation", "StandardAugmentation", "StrongAugmentation", "augmentation"]

Augmentation = Literal["none", "light", "standard", "strong"]
AUGMENTATIONS: tuple[Augmentation, ...] = ("none", "light", "standard", "strong")

#: Smallest and largest share of an image that a crop keeps: what ImageNet's recipes take.
_CROP = (0.08, 1.0)


def augmentation(name: str, config: ImageConfig) -> Transform:
    """The transform of training images by its name in `AUGMENTATIONS`.

    Raises:
        ValueError: there is no such name.
    """
    if name == "none":
        return EvalTransform(config)
    if name == "light":
        return LightAugmentation(config)
    if name == "standard":
        return StandardAugmentation(config)
    if name == "strong":
        return StrongAugmentation(config)
    raise ValueError(f"augmentation is one of {', '.join(AUGMENTATIONS)}, not {name!r}")


class StandardAugmentation:
    """Crops of any size resized to the model's, mirror images, and other brightness, contrast and saturation.

    Draws from Python's global generator: run it after `seed_sample`. Gives uint8 of shape (height, width, 3).

    Args:
        config: The model's.
        jitter: Brightness, contrast and saturation are each multiplied by a number between 1 - `jitter` and
            1 + `jitter`, in random order.
    """

    def __init__(self, config: ImageConfig, *, jitter: float = 0.4) -> None:
        self._crop, self._jitter = LightAugmentation(config, scale=_CROP), jitter

    def decode_share(self, width: int, height: int) -> float:
        """The share of its sides that leaves the smallest crop no fewer pixels than the model sees."""
        return self._crop.decode_share(width, height)

    def __call__(self, image: Image.Image) -> Pixels:
        """The pixels of a random crop."""
        cropped = Image.fromarray(self._crop(image))
        changes = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
        random.shuffle(changes)
        for change in changes:
            cropped = change(cropped).enhance(random.uniform(1 - self._jitter, 1 + self._jitter))  # noqa: S311
        return np.asarray(cropped)


class StrongAugmentation:
    """Crops of any size, mirror images, RandAugment, and boxes of noise in a part of the images.

    Draws from Python's and torch's global generators: run it after `seed_sample`. Gives uint8 of shape
    (height, width, 3).

    Args:
        config: The model's.
        operations: Of RandAugment, on each image.
        magnitude: Of RandAugment's operations, 0 to 30.
        erasing: Share of the images in which a box becomes noise.
    """

    def __init__(self, config: ImageConfig, *, operations: int = 2, magnitude: int = 9, erasing: float = 0.25) -> None:
        self._crop, self._erasing = LightAugmentation(config, scale=_CROP), erasing
        fill = [round(255 * mean) for mean in config.mean]
        self._change = RandAugment(operations, magnitude, interpolation=InterpolationMode.BILINEAR, fill=fill)

    def decode_share(self, width: int, height: int) -> float:
        """The share of its sides that leaves the smallest crop no fewer pixels than the model sees."""
        return self._crop.decode_share(width, height)

    def __call__(self, image: Image.Image) -> Pixels:
        """The pixels of a random crop."""
        pixels = np.array(self._change(Image.fromarray(self._crop(image))))
        if random.random() < self._erasing:  # noqa: S311
            _erase(pixels)
        return pixels


def _erase(pixels: Pixels) -> None:
    """Replace a box of 2 % to 33 % of the area by noise, in place."""
    height, width = pixels.shape[:2]
    area = height * width * random.uniform(0.02, 1 / 3)  # noqa: S311
    ratio = 3.3 ** random.uniform(-1, 1)  # noqa: S311
    tall = min(height, max(1, round((area * ratio) ** 0.5)))
    wide = min(width, max(1, round((area / ratio) ** 0.5)))
    top, left = random.randint(0, height - tall), random.randint(0, width - wide)  # noqa: S311
    noise = np.frombuffer(random.randbytes(tall * wide * 3), dtype=np.uint8)  # noqa: S311
    pixels[top : top + tall, left : left + wide] = noise.reshape(tall, wide, 3)
