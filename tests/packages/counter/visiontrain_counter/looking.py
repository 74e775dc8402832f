"""What is seen in an image, from its bytes. Some names of files are orders, for what goes wrong in workers."""

from __future__ import annotations

import os
import signal
import struct
import time
from pathlib import Path

from visiontrain.protocol.inference import ClassifyPrediction, ImagePrediction, ImageSource

_PNG = b"\x89PNG\r\n\x1a\n"


def look_at(source: ImageSource, classes: int) -> ImagePrediction | None:
    """None for ``skipped.png``, whose prediction a bad trainer forgets; the first pixel's red is what else decides."""
    name = Path(source.path).name
    if name == "kills.png":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "lasts.png":
        Path(source.path).with_suffix(".begun").touch()
        time.sleep(600)
    if name == "skipped.png":
        return None
    if name == "few.png":
        return ImagePrediction(1, 1, classify=ClassifyPrediction((1.0,)))
    if name == "neither.png":
        return ImagePrediction(1, 1)
    if source.raw is not None:
        with Path(source.path).open("rb") as file:
            file.seek(source.raw.offset)
            content = file.read()
        width, height, decides = source.raw.width, source.raw.height, content[0]
    else:
        try:
            content = Path(source.path).read_bytes()
        except OSError as error:
            return ImagePrediction(error=f"{source.path}: can't be read: {error.strerror}")
        if not content.startswith((_PNG, b"II*\0")):
            return ImagePrediction(error=f"{source.path}: can't be decoded")
        width, height = struct.unpack(">II", content[16:24]) if content.startswith(_PNG) else (1, 1)
        decides = sum(content)
    scores = [1.0 + (decides + 7 * number) % 5 for number in range(classes)]
    return ImagePrediction(width, height, classify=ClassifyPrediction(tuple(score / sum(scores) for score in scores)))
