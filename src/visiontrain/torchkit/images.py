"""Image files to RGB pixels, whatever colour mode they are stored in."""

from __future__ import annotations

import math
import struct

import numpy as np
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile

from visiontrain.errors import DatasetError

__all__ = ["read_rgb", "to_rgb"]

_ORIENTATION = 0x0112
_POLARITY = 0x0106


def read_rgb(path: str, *, share: float = 1.0) -> Image.Image:
    """Decode an image file: upright (its EXIF orientation applied), 8 bits, RGB. Of several frames, the first.

    Args:
        path: The file.
        share: Above 0 to 1. A JPEG may be decoded at a half, a quarter or an eighth of its sides, as long as at least
            this share of them is left: several times faster, and not quite the pixels that scaling down would give.

    Raises:
        DatasetError: the file can't be read or decoded; the message names it.
    """
    try:
        with Image.open(path) as image:
            if share < 1 and image.format == "JPEG":
                image.draft(None, (math.ceil(image.width * share), math.ceil(image.height * share)))
            scale = _scale_of_transparent_grey(image)
            image.load()
            if scale > 1:
                image.info["transparency"] *= scale
            upright = _upright(image)
            if _is_negative(image):
                upright = Image.fromarray(65535 - np.asarray(upright))
            return to_rgb(upright)
    except (OSError, ValueError, SyntaxError, TypeError, IndexError, struct.error, Image.DecompressionBombError) as e:
        raise DatasetError(
            f"{path}: can't be decoded: {e}", instruction="Repair or remove the file, then start again."
        ) from e


def _scale_of_transparent_grey(image: Image.Image) -> int:
    """What to multiply a PNG's transparent grey by: Pillow spreads pixels of 2 and 4 bits over 0..255, and not this."""
    if not isinstance(image, PngImageFile) or not isinstance(image.info.get("transparency"), int) or not image.tile:
        return 1
    return {"L;2": 255 // 3, "L;4": 255 // 15}.get(str(image.tile[0][3]), 1)


def _is_negative(image: Image.Image) -> bool:
    """Whether a TIFF's 16-bit grey counts from white to black: Pillow turns that round with 8 bits only."""
    return image.format == "TIFF" and image.mode.startswith("I;16") and image.getexif().get(_POLARITY) == 0


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error):
        return image  # metadata that can't be read says nothing about the pixels
    return image if orientation not in range(2, 9) else ImageOps.exif_transpose(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any of Pillow's modes to RGB.

    Transparency is laid over white, one transparent grey or colour as well. 16-bit grey (and 32-bit integers, which
    Pillow makes of some 16-bit files) is scaled from 0..65535; floating point from 0..1, or clipped to 0..255 where a
    value is above 1.
    """
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image)
        levels = np.clip(values.astype(np.float64), 0, 65535)
        through = image.info.get("transparency")
        return _grey(np.where(values == through, 255, levels / 257) if isinstance(through, int) else levels / 257)
    if mode == "F":
        levels = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0)
        return _grey(levels * 255 if levels.max(initial=0) <= 1 else levels)
    if mode == "LAB":
        return _lab_to_rgb(image)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _over_white(image)
    return image if mode == "RGB" else image.convert("RGB")


def _grey(levels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)).convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:
        raise ValueError("a LAB image could not be converted")
    return converted
