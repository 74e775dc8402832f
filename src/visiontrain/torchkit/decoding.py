"""Images as a request names them, decoded in threads ahead of the model that they are for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageMode

from visiontrain.errors import DatasetError
from visiontrain.protocol.inference import ImageSource, RawPixels
from visiontrain.torchkit.images import read_rgb, to_rgb
from visiontrain.torchkit.transforms import Transform

__all__ = ["Decoded", "decode_ahead", "read_source"]

#: Modes whose pixels are bits, or mean nothing without a palette.
_NOT_RAW = ("1", "P", "PA")


@dataclass(frozen=True)
class Decoded:
    """An image, ready for the model, or why it is not.

    Args:
        width: In pixels, as it is shown; 0 where it can't be read.
        height: Likewise.
        pixels: uint8, (height, width, 3) as the transform makes them.
        error: Why there are none; names the file.
    """

    width: int
    height: int
    pixels: torch.Tensor | None = None
    error: str | None = None


def read_source(source: ImageSource) -> Image.Image:
    """Upright RGB, the same whether an image comes as a file or as the pixels that were in it.

    Raises:
        DatasetError: it can't be read or decoded; the message names the file.
    """
    return read_rgb(source.path) if source.raw is None else _read_raw(source.path, source.raw)


def _read_raw(path: str, raw: RawPixels) -> Image.Image:
    try:
        mode = ImageMode.getmode(raw.mode)
    except KeyError:
        mode = None
    if mode is None or raw.mode in _NOT_RAW:
        raise DatasetError(f"{path}: pixels of the mode {raw.mode!r} can't be taken as they are")
    size = prod((raw.width, raw.height, len(mode.bands), np.dtype(mode.typestr).itemsize))
    if min(raw.width, raw.height) < 1 or raw.offset < 0:
        raise DatasetError(f"{path}: {raw.width} x {raw.height} pixels at {raw.offset} are no image")
    try:
        # Read, not mapped: a file that gets shorter meanwhile would kill the process.
        with Path(path).open("rb") as file:
            file.seek(raw.offset)
            content = file.read(size)
    except OSError as e:
        raise DatasetError(f"{path}: can't be read: {e}") from e
    if len(content) < size:
        raise DatasetError(f"{path}: {raw.width} x {raw.height} {raw.mode} takes {size} bytes, not {len(content)}")
    try:
        return to_rgb(Image.frombuffer(raw.mode, (raw.width, raw.height), content, "raw", raw.mode, 0, 1))
    except (ValueError, OSError) as e:
        raise DatasetError(f"{path}: pixels of the mode {raw.mode!r} can't be converted: {e}") from e


def _decode(source: ImageSource, transform: Transform) -> Decoded:
    try:
        image = read_source(source)
    except DatasetError as e:
        return Decoded(0, 0, error=e.reason)
    return Decoded(*image.size, pixels=torch.from_numpy(transform(image).copy()))


def decode_ahead(
    sources: Sequence[ImageSource], transform: Transform, *, threads: int, ahead: int
) -> Iterator[Decoded]:
    """Decode images in their order; Pillow lets other threads run meanwhile.

    The threads live as long as the request: loader processes that are forked later shall find none.

    Args:
        sources: What to decode.
        transform: What makes pixels of an image.
        threads: How many images are decoded at once; at least 1.
        ahead: How many may be ready or under way before they are asked for. They are all that is held in memory.
    """
    if len(sources) == 1:
        yield _decode(sources[0], transform)
        return
    waiting: deque[Future[Decoded]] = deque()
    pool = ThreadPoolExecutor(max_workers=min(threads, max(1, len(sources))), thread_name_prefix="visiontrain-decode")
    try:
        for source in sources:
            waiting.append(pool.submit(_decode, source, transform))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
