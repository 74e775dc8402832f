"""From a decoded image to what a model sees: resize, crop, augment; and normalisation of whole batches."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

__all__ = ["EvalTransform", "ImageConfig", "LightAugmentation", "Normalize", "Pixels", "Transform"]

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

#: An image that many times as large as what is cropped of it, once resized, is resized in part alone.
_ELONGATED = 16

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class ImageConfig:
    """How a model wants its images.

    Args:
        size: Height and width in pixels.
        mean: Of each channel, for values from 0 to 1.
        std: Likewise.
        interpolation: nearest, bilinear, bicubic, box, hamming or lanczos.
        crop_pct: Share of the resized image's side that the crop keeps, above 0 to 1.
        crop_mode: ``center``: the shorter side is resized; ``squash``: both, losing the aspect ratio; ``border``: the
            longer, with a border of the mean colour.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"

    def __post_init__(self) -> None:
        if self.interpolation not in _RESAMPLING:
            raise ValueError(f"interpolation is one of {', '.join(_RESAMPLING)}, not {self.interpolation!r}")
        if self.crop_mode not in ("center", "squash", "border"):
            raise ValueError(f"crop_mode is center, squash or border, not {self.crop_mode!r}")

    @property
    def resampling(self) -> Image.Resampling:
        """Pillow's word for `interpolation`."""
        return _RESAMPLING[self.interpolation]

    def to_plain(self) -> dict[str, Any]:
        """As lists and plain values, for a checkpoint."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> ImageConfig:
        """What `to_plain` gave.

        Raises:
            TypeError: a name is missing or unknown.
            ValueError: a value is none of those that are possible.
        """
        found: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**found)


class Transform(Protocol):
    """An RGB image to uint8 pixels of shape (height, width, 3), all images to the same shape. Must pickle."""

    def decode_share(self, width: int, height: int) -> float:
        """The share of its sides (above 0 to 1) at which an image of that size in pixels may be decoded."""
        ...

    def __call__(self, image: Image.Image) -> Pixels:
        """The pixels."""
        ...


class EvalTransform:
    """Resize and centre crop, without a random choice. Gives uint8 of shape (height, width, 3)."""

    def __init__(self, config: ImageConfig) -> None:
        self.config = config

    def decode_share(self, width: int, height: int) -> float:  # noqa: ARG002 - as `Transform` has it
        """1: the image is decoded whole, as it will be in production."""
        return 1.0

    def __call__(self, image: Image.Image) -> Pixels:
        """The resized and cropped pixels."""
        config = self.config
        scaled_height, scaled_width = (math.floor(side / config.crop_pct) for side in config.size)
        width, height = image.size
        if config.crop_mode == "squash":
            target = (scaled_width, scaled_height)
        elif config.crop_mode == "border":
            ratio = max(height / scaled_height, width / scaled_width)
            target = (round(width / ratio), round(height / ratio))
        elif scaled_height == scaled_width:
            # the longer side is cut, not rounded: as torchvision does, whose rule the published weights were tested by
            short = scaled_height
            target = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
        else:
            ratio = min(height / scaled_height, width / scaled_width)
            target = (round(width / ratio), round(height / ratio))
        target = max(1, target[0]), max(1, target[1])
        if target[0] * target[1] > _ELONGATED * scaled_width * scaled_height:
            return np.asarray(self._centre_alone(image, target))
        if target != image.size:
            image = image.resize(target, config.resampling)
        return np.asarray(self._centre(image))

    def _centre_alone(self, image: Image.Image, target: tuple[int, int]) -> Image.Image:
        """What `_centre` gives of the image resized to `target`, but for rounding: a whole line takes gigabytes."""
        height, width = self.config.size
        left, top = round((target[0] - width) / 2), round((target[1] - height) / 2)
        across, down = image.width / target[0], image.height / target[1]
        right, bottom = min(image.width, (left + width) * across), min(image.height, (top + height) * down)
        return image.resize((width, height), self.config.resampling, box=(left * across, top * down, right, bottom))

    def _centre(self, image: Image.Image) -> Image.Image:
        out_height, out_width = self.config.size
        width, height = image.size
        if width < out_width or height < out_height:
            colour = tuple(round(255 * v) for v in self.config.mean) if self.config.crop_mode == "border" else (0, 0, 0)
            padded = Image.new("RGB", (max(width, out_width), max(height, out_height)), colour)
            padded.paste(image, (max(out_width - width, 0) // 2, max(out_height - height, 0) // 2))
            image, (width, height) = padded, padded.size
        top, left = round((height - out_height) / 2), round((width - out_width) / 2)
        return image.crop((left, top, left + out_width, top + out_height))


class LightAugmentation:
    """A random crop that keeps most of the image, resized to the model's size, and a random mirror image.

    Draws from Python's global generator: run it after `seed_sample`. Gives uint8 of shape (height, width, 3).

    Args:
        config: The model's.
        scale: Smallest and largest share of the image's area that the crop keeps.
        ratio: Smallest and largest distortion of the crop's aspect ratio.
        flip: Probability of the mirror image.
    """

    def __init__(
        self,
        config: ImageConfig,
        *,
        scale: tuple[float, float] = (0.6, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
    ) -> None:
        self.config, self.scale, self.ratio, self.flip = config, scale, ratio, flip

    def decode_share(self, width: int, height: int) -> float:
        """The share of its sides that leaves the smallest crop no fewer pixels than the model sees."""
        out_height, out_width = self.config.size
        smallest = math.sqrt(self.scale[0] * self.ratio[0])
        return min(1.0, max(out_height / (smallest * height), out_width / (smallest * width)))

    def __call__(self, image: Image.Image) -> Pixels:
        """The pixels of a random crop."""
        out_height, out_width = self.config.size
        box = self._crop(*image.size)
        mirrored = random.random() < self.flip  # noqa: S311 - not for secrets
        image = image.resize((out_width, out_height), self.config.resampling, box=box)
        return np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image)

    def _crop(self, width: int, height: int) -> tuple[float, float, float, float]:
        area = width * height * random.uniform(*self.scale)  # noqa: S311
        ratio = math.exp(random.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))  # noqa: S311
        crop_width = min(math.sqrt(area * ratio), width)
        crop_height = min(math.sqrt(area / ratio), height)
        left = random.uniform(0, width - crop_width)  # noqa: S311
        top = random.uniform(0, height - crop_height)  # noqa: S311
        return left, top, left + crop_width, top + crop_height


class Normalize:
    """A batch of pixels to what the model computes on, on its device.

    Loaders hand over uint8 (a quarter of float32's bytes); the layout that pixels have anyway is channels_last.
    """

    def __init__(self, config: ImageConfig, device: torch.device, *, channels_last: bool = True) -> None:
        self._mean = torch.tensor(config.mean, dtype=torch.float32, device=device).view(1, -1, 1, 1) * 255
        self._scale = 1 / (torch.tensor(config.std, dtype=torch.float32, device=device).view(1, -1, 1, 1) * 255)
        self._channels_last = channels_last

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (batch, height, width, 3) to float32 (batch, 3, height, width)."""
        images = (pixels.permute(0, 3, 1, 2).float() - self._mean) * self._scale
        return images if self._channels_last else images.contiguous()
