"""Class maps as answers carry them: for trainers that say of each pixel what class it is of. Standard library only."""

from __future__ import annotations

import base64
import struct
import sys
import zlib
from array import array

from visiontrain.protocol.inference import ClassMapPrediction

__all__ = ["class_map"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BYTE, _WORD = 8, 16


def class_map(width: int, height: int, indices: bytes | bytearray | memoryview, *, bits: int = 8) -> ClassMapPrediction:
    """A class map of an image, as a grey PNG.

    Args:
        width: Of the image as it is shown, in pixels.
        height: Likewise.
        indices: The class index of each pixel, row by row from the top.
        bits: Of an index: 8, or 16 in this machine's byte order, where there are more than 256 classes.

    Raises:
        ValueError: there are not so many indices.
    """
    if bits not in (_BYTE, _WORD):
        raise ValueError(f"a class index has 8 or 16 bits, not {bits}")
    data = bytes(indices)
    row = width * bits // 8
    if width < 1 or height < 1 or len(data) != row * height:
        raise ValueError(f"{len(data):,} bytes are no {bits}-bit class indices of {width} x {height} pixels")
    if bits == _WORD and sys.byteorder == "little":  # PNG has the high byte first
        words = array("H", data)
        words.byteswap()
        data = words.tobytes()
    # The byte before a row names its filter: none, since equal pixels side by side are what compresses here.
    rows = b"".join(b"\0" + data[at : at + row] for at in range(0, len(data), row))
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)  # grey, not interlaced
    png = _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return ClassMapPrediction(base64.b64encode(png).decode("ascii"))


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Length, kind, data and checksum, as PNG (RFC 2083) has them."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
