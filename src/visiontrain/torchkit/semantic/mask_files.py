"""Masks of classes as they lie in files: a number a pixel, and what class it stands for."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from visiontrain.datasets.masks import PixelClasses
from visiontrain.errors import DatasetError

__all__ = ["Labels", "MaskReader"]

#: Class indices, (height, width).
Labels = np.ndarray[tuple[int, ...], np.dtype[Any]]

_BYTES = 256

#: What Pillow's decoders raise.
_DAMAGE = (OSError, ValueError, SyntaxError, TypeError, IndexError, struct.error, Image.DecompressionBombError)


class MaskReader:
    """Reads masks of one dataset.

    Args:
        classes: What their values say.
    """

    def __init__(self, classes: PixelClasses) -> None:
        self.ignored = classes.ignore_value
        kind = np.uint8 if self.ignored < _BYTES else np.int32
        self._table = np.array(classes.table(), dtype=np.uint16).astype(kind)

    def read(self, path: str, width: int, height: int) -> Labels:
        """The class index of each pixel, as the image is shown; `ignored` for those of no class.

        Args:
            path: The file.
            width: Of its image as it is shown, in pixels.
            height: Likewise.

        Returns:
            (height, width), uint8 where `ignored` is 255, else int32.

        Raises:
            DatasetError: it can't be read, or is no longer what the index was made of; the message names it.
        """
        try:
            with Image.open(path) as image:
                values = np.asarray(ImageOps.exif_transpose(image))
            if values.shape != (height, width):
                raise ValueError(f"it has the shape {values.shape}, and its image {width} x {height} pixels")
            # A mask of 1 bit is read as true and false.
            labels: Labels = self._table[values.astype(np.uint8) if values.dtype == np.bool_ else values]
        except _DAMAGE as e:
            raise DatasetError(
                f"{path}: can't be read as a mask of classes: {e}",
                instruction="Repair the file or remove its image, then start again.",
            ) from e
        return labels
