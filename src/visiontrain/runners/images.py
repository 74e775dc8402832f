"""Images as a person gives them, for a worker: by path, or as pixels in a file, so that none rides the pipe."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visiontrain.datasets.formats.files import walk
from visiontrain.errors import ImageError, SpecError
from visiontrain.protocol.inference import ImageSource, RawPixels
from visiontrain.specs import absolute_path

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Given", "expand", "to_source"]

#: Modes whose bytes are passed on as they are, and their bytes a pixel.
_RAW_MODES = {"L": 1, "RGB": 3, "RGBA": 4}

#: Mode of an array by its number of channels.
_ARRAY_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Given:
    """One image: its file, or what holds its pixels. `folder` is the one that it was found in, where one was given."""

    path: Path | None
    pixels: Any = None
    folder: Path | None = None


def expand(images: Any) -> Iterator[Given]:
    """Each image of what was given: a path, a folder, a PIL image, an array, or any number of them.

    Files are looked for in a folder and below it, in the order of their names. Those that the person names must exist;
    whether they can be read is found out later.

    Raises:
        ImageError: there is no such file, or no image in a folder.
        SpecError: it is neither a path, nor an image, nor an array.
    """
    if isinstance(images, (str, os.PathLike)):
        yield from _below(absolute_path("images", images))
    elif _is_pixels(images):
        yield Given(None, images)
    elif isinstance(images, Iterable):
        for image in images:
            if isinstance(image, (str, os.PathLike)) or _is_pixels(image):
                yield from expand(image)
            else:
                raise _strange(image)
    else:
        raise _strange(images)


def to_source(given: Given, folder: Path, number: int) -> ImageSource:
    """What the worker is told of an image; its pixels are written to a file in `folder`.

    Raises:
        SpecError: it is no array of 8-bit pixels.
    """
    if given.path is not None:
        return ImageSource(str(given.path))
    path = folder / str(number)
    if not _is_pil(given.pixels):
        view = memoryview(given.pixels)
        height, width, mode = _layout(view)
        path.write_bytes(view.tobytes())
        return ImageSource(str(path), RawPixels(mode, width, height, 0))
    image: Image = given.pixels
    if image.getexif().get(_ORIENTATION, 1) != 1:  # as of a file
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    if image.mode in _RAW_MODES and "transparency" not in image.info:
        path.write_bytes(image.tobytes())
        return ImageSource(str(path), RawPixels(image.mode, image.width, image.height, 0))
    # Palettes, transparent colours and the rarer modes survive in a file alone; the worker converts all the same way.
    if image.mode in ("1", "P", "PA", "LA", "L", "RGB", "RGBA", "I", "I;16"):
        image.save(path, format="PNG", compress_level=1)
    else:
        image.save(path, format="TIFF")
    return ImageSource(str(path))


def _below(path: Path) -> Iterator[Given]:
    if not path.is_dir():
        if not path.exists():
            raise ImageError(f"there is no file or folder {path}")
        yield Given(path)
        return
    found = sorted(file.path for file in walk(str(path), "") if file.kind == "image")
    if not found:
        raise ImageError(f"there is no image in the folder {path}", instruction="Give a folder with JPEG or PNG files.")
    for name in found:
        yield Given(path / name, folder=path)


def _is_pil(value: object) -> bool:
    return hasattr(value, "getbands") and hasattr(value, "tobytes")


def _is_pixels(value: object) -> bool:
    if _is_pil(value):
        return True
    if isinstance(value, (bytes, bytearray, list, tuple)):
        return False
    try:
        return memoryview(value).ndim > 0  # type: ignore[arg-type]
    except TypeError:
        return False


def _layout(view: memoryview) -> tuple[int, int, str]:
    """Height, width and mode of an array."""
    sides = view.shape or ()
    channels = 1 if len(sides) == 2 else sides[2] if len(sides) == 3 else 0  # noqa: PLR2004
    if view.format != "B" or channels not in _ARRAY_MODES or 0 in sides:
        shape = " x ".join(map(str, sides))
        raise SpecError(
            "images",
            f"an array must be uint8 of height x width, or height x width x 1, 3 (RGB) or 4 (RGBA); this one has the "
            f"format {view.format!r} and is {shape}",
            instruction="Convert it: (array * 255).astype('uint8') for values from 0 to 1.",
        )
    return sides[0], sides[1], _ARRAY_MODES[channels]


def _strange(value: object) -> SpecError:
    return SpecError(
        "images",
        f"a {type(value).__module__}.{type(value).__name__} is neither a path, nor a PIL image, nor an array",
        instruction="Give paths, folders, PIL images or uint8 arrays; of a torch tensor, .cpu().numpy().",
    )
