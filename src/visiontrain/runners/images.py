"""Images as a person gives them, for a worker: by path, or as pixels in a file, so that none rides the pipe."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visiontrain.datasets.formats.files import printable, walk
from visiontrain.errors import ImageError, SpecError
from visiontrain.protocol.inference import ImageSource, RawPixels
from visiontrain.specs import absolute_path
from visiontrain.storage import explained

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Given", "expand", "to_source"]

#: Modes whose bytes are passed on as they are.
_RAW_MODES = ("L", "RGB", "RGBA")

#: What PNG takes without loss beside them, with the transparent colours of palettes; TIFF takes the others.
_PNG_MODES = ("1", "P", "LA")

#: Modes that no file takes, and what they become. A TIFF takes YCbCr, and Pillow 12.3 can't read it back.
_CONVERTED_MODES = {"PA": "RGBA", "RGBa": "RGBA", "La": "LA", "HSV": "RGB", "YCbCr": "RGB"}

#: Mode of an array by its number of channels.
_ARRAY_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

#: An array's kinds of text and objects: their items are looked at, not their pixels.
_NO_NUMBERS = ("w", "s", "p", "c", "O")

_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Given:
    """One image: its file, or what holds its pixels. `folder` is the one that it was found in, where one was given."""

    path: Path | None
    pixels: Any = None
    folder: Path | None = None

    @property
    def size(self) -> int:
        """Bytes of its pixels; 0 for a file."""
        if self.path is not None:
            return 0
        if _is_pil(self.pixels):
            return int(self.pixels.width * self.pixels.height * len(self.pixels.getbands()))
        return memoryview(self.pixels).nbytes


def expand(images: Any) -> Iterator[Given]:
    """Each image of what was given: a path, a folder, a PIL image, an array, or any number of them.

    Files are looked for in a folder and below it, in the order of their names. Those that the person names must exist;
    whether they can be read is found out later. What a generator gives is asked for one by one.

    Raises:
        ImageError: there is no such file, no image in a folder, or a folder that can't be opened.
        SpecError: it is neither a path, nor an image, nor an array.
    """
    if isinstance(images, (str, os.PathLike)):
        yield from _below(absolute_path("images", images))
    elif _is_pixels(images):
        yield Given(None, images)
    elif isinstance(images, Iterable) and not _is_encoded(images):
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
        ImageError: a PIL image can't be read from where it comes.
        SpecError: it is no array of 8-bit pixels.
        StorageError: the folder does not take it.
    """
    if given.path is not None:
        return ImageSource(str(given.path))
    path = folder / str(number)
    if not _is_pil(given.pixels):
        view = memoryview(given.pixels)
        height, width, mode = _layout(view)
        with explained("an image's pixels can't be handed to the worker"):
            path.write_bytes(view.tobytes())
        return ImageSource(str(path), RawPixels(mode, width, height, 0))
    image = _read(given.pixels)
    with explained("an image's pixels can't be handed to the worker"):
        if image.mode in _RAW_MODES and "transparency" not in image.info:
            path.write_bytes(image.tobytes())
            return ImageSource(str(path), RawPixels(image.mode, image.width, image.height, 0))
        # Palettes, transparent colours and the rarer modes survive in a file alone; the worker converts all alike.
        if image.mode in (*_RAW_MODES, *_PNG_MODES):
            image.save(path, format="PNG", compress_level=1)
        else:
            image.save(path, format="TIFF")
    return ImageSource(str(path))


def _read(image: Image) -> Image:
    """The image as it is shown, decoded: many a PIL image reads its file when its pixels are first asked for."""
    from PIL import ImageOps

    try:
        image.load()
        if image.getexif().get(_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
        if 0 in image.size:
            raise ValueError(f"it is {image.width} x {image.height} pixels")
        return image.convert(_CONVERTED_MODES[image.mode]) if image.mode in _CONVERTED_MODES else image
    except Exception as error:  # decoders raise what they like
        name = getattr(image, "filename", "") or "a PIL image"
        raise ImageError(f"{name}: can't be read: {error}") from error


def _below(path: Path) -> Iterator[Given]:
    if not os.path.isdir(path):  # noqa: PTH112 - a name that is too long is an OSError to Path
        if not os.path.lexists(path):
            raise ImageError(f"there is no file or folder {printable(str(path))}")
        yield Given(path)
        return
    found: list[str] = []
    for file in walk(str(path), ""):
        if file.kind == "denied":
            raise ImageError(f"the folder {printable(str(path / file.path))} can't be opened")
        if file.kind in ("image", "unsupported"):  # the worker says of the latter what is wrong with them
            found.append(file.path)
    if not found:
        raise ImageError(
            f"there is no image in the folder {printable(str(path))}",
            instruction="Give image files, or a folder with some.",
        )
    for name in sorted(found):
        yield Given(path / name, folder=path)


def _is_pil(value: object) -> bool:
    return hasattr(value, "getbands") and hasattr(value, "tobytes")


def _is_encoded(value: object) -> bool:
    return isinstance(value, (bytes, bytearray)) or hasattr(value, "read")


def _is_pixels(value: object) -> bool:
    if _is_pil(value):
        return True
    if isinstance(value, (list, tuple)) or _is_encoded(value):
        return False
    try:
        view = memoryview(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError):
        return False
    return view.ndim > 1 or (view.ndim == 1 and not view.format.endswith(_NO_NUMBERS))


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
    if _is_encoded(value):
        return SpecError(
            "images",
            f"{_kind(value)} holds a file, not pixels",
            instruction="Open it: PIL.Image.open(file), or PIL.Image.open(io.BytesIO(content)).",
        )
    return SpecError(
        "images",
        f"{_kind(value)} is neither a path, nor a PIL image, nor an array",
        instruction="Give paths, folders, PIL images or uint8 arrays; of a torch tensor, .cpu().numpy().",
    )


def _kind(value: object) -> str:
    cls = type(value)
    return f"a value of type {cls.__name__ if cls.__module__ == 'builtins' else f'{cls.__module__}.{cls.__name__}'}"
