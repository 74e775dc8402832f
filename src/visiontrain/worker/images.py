"""Image files to pixels, for trainers whose environment has no library that decodes them."""

from __future__ import annotations

import re
from pathlib import Path

from visiontrain.errors import DatasetError

__all__ = ["read_rgb"]

_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(rb"P([56])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)\s")
_BRIGHTEST = 255


def read_rgb(path: str) -> bytes:
    """The pixels of a PPM or PGM file: 8 bits a channel, RGB, row by row from the top, 3 * width * height bytes.

    These are the formats that need no decoder: binary ones of up to 8 bits a channel.

    Raises:
        DatasetError: the file is of another format, or can't be read; the message names it.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as e:
        raise DatasetError(
            f"{path}: can't be read: {e.strerror or e}", instruction="Repair or remove the file, then start again."
        ) from e
    header = _HEADER.match(data)
    if header is None:
        raise DatasetError(
            f"{path}: is no PPM or PGM file, and this framework reads no others",
            instruction="Convert the images, or train with a framework that decodes them, such as timm.",
        )
    kind, width, height, brightest = map(int, header.groups())
    channels = 3 if kind == 6 else 1  # noqa: PLR2004 - P6 has colours, P5 is grey
    pixels = data[header.end() : header.end() + width * height * channels]
    if not 1 <= brightest <= _BRIGHTEST or len(pixels) < width * height * channels:
        why = "has more than 8 bits a channel" if brightest > _BRIGHTEST else "is cut short or damaged"
        raise DatasetError(f"{path}: {why}", instruction="Repair or convert the file, then start again.")
    if brightest < _BRIGHTEST:
        levels = bytes(min(_BRIGHTEST, round(level * _BRIGHTEST / brightest)) for level in range(256))
        pixels = pixels.translate(levels)
    if channels == 1:
        colours = bytearray(3 * len(pixels))
        colours[0::3] = colours[1::3] = colours[2::3] = pixels
        return bytes(colours)
    return pixels
