"""Images as they are drawn into: upright, RGB, and large enough."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import cast

from PIL import Image, ImageOps

from visiontrain.errors import ImageError

__all__ = ["LARGEST", "enlarged", "read_image"]

#: How many times a small image is enlarged at the most.
LARGEST = 16


def read_image(path: Path) -> Image.Image:
    """The image upright, as RGB.

    Raises:
        ImageError: this Pillow can't open it, though the framework's could.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata and sizes: the model has seen it already
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened) or opened
                if image.mode.startswith(("I", "F")):  # more than 8 bits: stretched, to be looked at
                    image = ImageOps.autocontrast(_as_bytes(image))
                return image.convert("RGB")
    except Exception as error:  # decoders raise what they like
        raise ImageError(f"{path}: {error}") from error


def enlarged(image: Image.Image, times: int) -> Image.Image:
    """The image with `times` times its sides, pixel by pixel; `LARGEST` times at the most."""
    times = min(LARGEST, times)
    if times <= 1:
        return image
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def _as_bytes(image: Image.Image) -> Image.Image:
    wide = image.convert("F")
    low, high = cast("tuple[float, float]", wide.getextrema())
    scale = 255 / (high - low) if high > low else 0.0
    return wide.point(lambda value: value * scale - low * scale).convert("L")
