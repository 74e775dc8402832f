"""The program that decodes images, run in processes of its own: a decoder that crashes takes no one else with it.

Run as ``python -I -S decoder.py SECONDS FOLDER KIND``: FOLDER holds the package PIL, SECONDS is the longest that one
image may take, KIND is ``images``, or ``masks`` where the values of pixels are counted. Paths come over stdin, each
ended by a NUL byte; for each goes one JSON object to stdout, a line. The first line is ``{"pillow": VERSION}``, or
``{"failure": TEXT}`` where Pillow can't be imported. Nothing of visiontrain is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from types import ModuleType

    from PIL import Image as PillowImage

Answer = dict[str, str | int | bool | None]
_Reading = Callable[["PillowImage.Image"], Answer]

#: Raised when the same bytes may give another answer, or the cache has other columns: all is then decoded anew.
VERSION = 2

#: What is accepted, by the names that Pillow gives. Left out are formats whose decoding starts other programs (EPS) or
#: that no trainer's own decoder reads.
FORMATS = frozenset({"JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "MPO", "AVIF", "JPEG2000", "TGA"})

#: Of masks: those that keep the value of each pixel.
MASK_FORMATS = frozenset({"PNG", "BMP", "TIFF", "GIF"})

#: By Pillow's name of the mode: of images whose pixels are one number each, its type as `array` names it.
_WIDE_MODES = {"I;16": "H", "I;16L": "H", "I;16B": "H", "I": "i"}
_NARROW_MODES = ("L", "P")

_LARGEST_VALUE = 65535
_MOST_VALUES = 4096  # of a mask: more are no class indices
_ORIENTATION = 0x0112  # EXIF tag
_TURNED = (5, 6, 7, 8)  # its values that turn the image by a quarter
_PEEK = 64
_BRANDS = {
    "avif": "AVIF",
    "avis": "AVIF",
    "heic": "HEIC",
    "heix": "HEIC",
    "hevc": "HEIC",
    "mif1": "HEIF",
    "msf1": "HEIF",
}
_CHUNK = 1 << 20


def main() -> None:
    """Answer for each path on stdin until it ends."""
    seconds = float(sys.argv[1])
    sys.path.append(sys.argv[2])
    look = look_at_mask if sys.argv[3] == "masks" else look_at
    answers = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # C libraries print what they think of a file
    # The default action ends the process even while C code holds the interpreter; a host may have handed on a mask.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})

    import warnings

    try:
        import PIL
        from PIL import Image
    except ImportError as e:
        _send(answers, {"failure": str(e)})
        raise

    warnings.simplefilter("ignore")
    _send(answers, {"pillow": PIL.__version__})
    for path in _paths(0):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = look(path, Image)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(answers, answer)


def look_at(path: bytes, pillow: ModuleType) -> Answer:
    """Hash and decode one file.

    Returns:
        ``size`` in bytes and ``mtime_ns`` of what was read, ``sha256`` in hex, ``width`` and ``height`` in pixels after
        EXIF orientation, ``mode`` as Pillow calls it; where it can't be decoded, ``reason`` in words instead, and
        ``lasting``: whether the same bytes would give the same reason again.
    """
    return _look_at(path, pillow, _seen)


def look_at_mask(path: bytes, pillow: ModuleType) -> Answer:
    """Hash and decode one file of class indices.

    Returns:
        What `look_at` gives and ``pixels``: how many there are of each value, a JSON object as text, of an 1-bit file
        those of 0 and 1; None where a pixel is several numbers.
    """
    return _look_at(path, pillow, _counted)


def _look_at(path: bytes, pillow: ModuleType, read: _Reading) -> Answer:
    answer: Answer = {}
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            answer = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
            if not status.st_size:
                return {**answer, "reason": "the file is empty (0 bytes)", "lasting": True}
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            answer["sha256"] = digest.hexdigest()
            file.seek(0)
            return {**answer, **_decode(file, pillow, read)}
    except OSError as e:
        return {**answer, "reason": f"the file can't be read: {e.strerror or e}", "lasting": False}
    except MemoryError:
        return {**answer, "reason": "there is not enough memory to decode it", "lasting": False}


def _decode(file: BinaryIO, pillow: ModuleType, read: _Reading) -> Answer:
    try:
        with pillow.open(file) as image:
            return read(image)
    except pillow.UnidentifiedImageError:
        file.seek(0)
        return _bad(_no_image(file.read(_PEEK)))
    except pillow.DecompressionBombError:
        limit = 2 * (pillow.MAX_IMAGE_PIXELS or 0)
        return _bad(f"it claims more than {limit:,} pixels, the most that is decoded (a decompression bomb?)")
    except MemoryError:
        raise
    except Exception as e:  # noqa: BLE001 - plugins of Pillow raise SyntaxError, ValueError, struct.error and more
        words = str(e) or type(e).__name__
        cut_off = "truncated" in words.lower()
        return _bad("it is cut off: the file ends before the image does" if cut_off else f"it is damaged: {words}")


def _seen(image: PillowImage.Image) -> Answer:
    kind = image.format or "unknown"
    if kind not in FORMATS:
        return _bad(f"the format {kind} is not accepted; convert it to PNG or JPEG")
    image.load()
    width, height = image.size
    if width < 1 or height < 1:
        return _bad(f"its size is {width} x {height} pixels")
    if _orientation(image) in _TURNED:
        width, height = height, width
    return {"width": width, "height": height, "mode": image.mode}


def _counted(image: PillowImage.Image) -> Answer:
    kind = image.format or "unknown"
    if kind in FORMATS - MASK_FORMATS:
        return _bad(f"the format {kind} may change the values of pixels; write masks as PNG")
    answer = _seen(image)
    if "reason" in answer:
        return answer
    if image.mode == "1":
        off, *_, on = image.histogram()
        counts = {0: off, 1: on}
    elif image.mode in _NARROW_MODES:
        counts = dict(enumerate(image.histogram()))
    elif image.mode in _WIDE_MODES:
        counts = Counter(_wide(image))
    else:
        return {**answer, "pixels": None}
    found = {value: count for value, count in sorted(counts.items()) if count}
    if min(found) < 0 or max(found) > _LARGEST_VALUE:
        return _bad(f"it has the values {min(found):,} to {max(found):,}, and those of classes are 0 to 65,535")
    if len(found) > _MOST_VALUES:
        return _bad(f"it has {len(found):,} different values, which are no class indices")
    return {**answer, "pixels": json.dumps(found)}


def _wide(image: PillowImage.Image) -> array[int]:
    """The numbers of pixels of more than 8 bits."""
    numbers = array(_WIDE_MODES[image.mode], image.tobytes())
    order = "big" if image.mode == "I;16B" else "little" if image.mode.startswith("I;16") else sys.byteorder
    if order != sys.byteorder:
        numbers.byteswap()
    return numbers


def _orientation(image: PillowImage.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - a picture with broken EXIF data is a good picture
        return 1


def _no_image(head: bytes) -> str:
    if head[4:8] == b"ftyp":  # the container of phones' photos
        brand = head[8:12].decode("ascii", "replace")
        return f"it is a {_BRANDS.get(brand, brand)} file, which this Pillow can't read; convert it to PNG or JPEG"
    try:
        if head.decode("utf-8").isprintable() or b"\n" in head:
            return "it holds text, not an image"
    except UnicodeDecodeError:
        pass
    return "it is not an image in any known format, or its header is damaged"


def _bad(reason: str) -> Answer:
    return {"reason": reason, "lasting": True}


def _paths(descriptor: int) -> Iterator[bytes]:
    rest = b""
    while chunk := os.read(descriptor, 65536):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


def _send(descriptor: int, answer: Answer) -> None:
    os.write(descriptor, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
