"""From an image's bytes to what an exported model sees, and where the image lies in that."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

__all__ = ["Array", "Seen", "read_image", "see_cropped", "see_whole", "to_png"]

Array = npt.NDArray[Any]

#: An image that many times as large as what is cropped of it, once resized, is resized in part alone.
_ELONGATED = 16


@dataclass(frozen=True)
class Seen:
    """What a model sees of an image. Pairs are of x and y.

    Args:
        pixels: As the model computes on them, (height, width, 3).
        image: Width and height of the image as it is shown, in pixels.
        first: The pixel that its top left corner lies at.
        scale: Pixels for one of the image.
    """

    pixels: Array
    image: tuple[int, int]
    first: tuple[int, int]
    scale: tuple[float, float]

    def to_image(self, points: Array) -> Array:
        """Points (..., 2) of what the model sees as points of the image."""
        placed: Array = (points - self.first) / self.scale
        return placed

    def to_image_inside(self, points: Array) -> Array:
        """The same, moved to the image's edge where they lie outside."""
        placed: Array = np.clip(self.to_image(points), 0, self.image)
        return placed


def read_image(number: int, given: bytes | str) -> Image.Image:
    """The image as it is looked at: the right way up, over white, in RGB. Text is taken for base64.

    Raises:
        ValueError: it can't be read.
    """
    try:
        content = base64.b64decode(given, validate=True) if isinstance(given, str) else given
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"image {number} can't be read: {error}") from error


def to_png(pixels: Array) -> str:
    """Numbers from 0 on, (height, width), uint8 or uint16, as a grey PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def see_cropped(image: Image.Image, how: dict[str, Any]) -> Array:
    """What a classifier sees: resized, a piece from the middle, normalised; (height, width, 3).

    Args:
        image: RGB.
        how: The model's ``preprocessing``.
    """
    size, large = tuple(how["size"]), tuple(int(side / how["crop_pct"]) for side in how["size"])
    width, height = image.size
    if how["crop_mode"] == "squash":
        target = large[1], large[0]
    elif how["crop_mode"] == "border":
        ratio = max(height / large[0], width / large[1])
        target = round(width / ratio), round(height / ratio)
    elif large[0] == large[1]:  # the longer side is cut, not rounded
        short = large[0]
        target = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    else:
        ratio = min(height / large[0], width / large[1])
        target = round(width / ratio), round(height / ratio)
    target = max(1, target[0]), max(1, target[1])
    resampling = Image.Resampling[how["interpolation"].upper()]
    if target[0] * target[1] > _ELONGATED * large[0] * large[1]:  # whole, a line would take gigabytes
        return _normalised(_middle_alone(image, target, size, resampling), how)
    return _normalised(_middle(image.resize(target, resampling), size, how), how)


def _middle(image: Image.Image, size: tuple[int, ...], how: dict[str, Any]) -> Image.Image:
    height, width = size
    if image.width < width or image.height < height:
        bordered = how["crop_mode"] == "border"
        around = tuple(round(255 * value) for value in how["mean"]) if bordered else (0, 0, 0)
        whole = Image.new("RGB", (max(image.width, width), max(image.height, height)), around)
        whole.paste(image, (max(width - image.width, 0) // 2, max(height - image.height, 0) // 2))
        image = whole
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def _middle_alone(
    image: Image.Image, target: tuple[int, int], size: tuple[int, ...], resampling: Image.Resampling
) -> Image.Image:
    height, width = size
    left, top = round((target[0] - width) / 2), round((target[1] - height) / 2)
    across, down = image.width / target[0], image.height / target[1]
    right, bottom = min(image.width, (left + width) * across), min(image.height, (top + height) * down)
    return image.resize((width, height), resampling, box=(left * across, top * down, right, bottom))


def see_whole(image: Image.Image, how: dict[str, Any]) -> Seen:
    """What a model sees that looks at whole images: it fills them out, or puts them into the middle of a border.

    Args:
        image: RGB.
        how: The model's ``preprocessing``.
    """
    height, width = how["size"]
    size, first = (width, height), (0, 0)
    if "border" in how:
        ratio = width / max(image.size)
        size = min(int(np.ceil(image.width * ratio)), width), min(int(np.ceil(image.height * ratio)), width)
        first = round((width - size[0]) / 2 - 0.1), round((width - size[1]) / 2 - 0.1)
    scale = size[0] / image.width, size[1] / image.height
    if "mean" in how:
        pixels = _normalised(image.resize(size, Image.Resampling[how["interpolation"].upper()]), how)
        return Seen(pixels, image.size, first, scale)
    # Not resize(), which would look at more than four pixels where an image gets smaller.
    steps = (1 / scale[0], 0, 0, 0, 1 / scale[1], 0)
    placed = image.transform(size, Image.Transform.AFFINE, steps, Image.Resampling.BILINEAR)
    pixels = np.full((height, width, 3), how.get("border", 0), dtype=np.float32)
    pixels[first[1] : first[1] + size[1], first[0] : first[0] + size[0]] = placed
    return Seen(pixels / 255, image.size, first, scale)


def _normalised(image: Image.Image, how: dict[str, Any]) -> Array:
    normalised: Array = (np.asarray(image) / 255 - how["mean"]) / how["std"]
    return normalised
