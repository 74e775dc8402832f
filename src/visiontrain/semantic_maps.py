"""What class each pixel of an image is of, as a model says it. Needs Pillow alone."""

from __future__ import annotations

import io
import sys
import warnings
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SemanticMap", "values_of"]

#: Classes of this name are not painted, lower case.
_BACKGROUND = frozenset({"background", "_background_"})

_PALETTE = 256  # colours
_BYTE, _WORD = 8, 16
_DEPTH, _KIND = 24, 25  # where a PNG says how many bits a pixel has, and of which kind: 0 is grey


@dataclass(frozen=True, repr=False)
class SemanticMap:
    """What class each pixel is of, of an image as it is shown.

    Args:
        width: In pixels.
        height: Likewise.
        classes: Class names by class index.
        pixels: Number of pixels of each class, by class index.
        png: The class index of each pixel, as a grey PNG of 8 bits, or of 16 where there are more than 256 classes.
    """

    width: int
    height: int
    classes: tuple[str, ...]
    pixels: tuple[int, ...]
    png: bytes

    @classmethod
    def from_png(cls, png: bytes, classes: tuple[str, ...]) -> SemanticMap:
        """A map from its PNG, checked.

        Raises:
            ValueError: it is no grey PNG of 8 or 16 bits, it is damaged, or a pixel is of no class.
        """
        if png[12:16] != b"IHDR" or png[_KIND : _KIND + 1] != b"\0" or png[_DEPTH] not in (_BYTE, _WORD):
            raise ValueError("a class map that is no grey PNG of 8 or 16 bits")
        try:
            image = _open(png)
        except Exception as error:  # decoders raise what they like
            raise ValueError(f"a class map that can't be read: {error}") from error
        counts = Counter(values_of(image)) if png[_DEPTH] == _WORD else dict(enumerate(image.histogram()))
        found = {index: count for index, count in counts.items() if count}
        if max(found) >= len(classes):
            raise ValueError(f"a class map with the class {max(found)}, where there are {len(classes)}, counted from 0")
        pixels = tuple(found.get(index, 0) for index in range(len(classes)))
        return cls(image.width, image.height, classes, pixels, png)

    def __repr__(self) -> str:
        """Its size, and the largest classes."""
        largest = ", ".join(f"{name} {share:.1%}" for name, share in list(self.shares.items())[:5])
        return f"<SemanticMap of {self.width} x {self.height} pixels: {largest}>"

    @property
    def shares(self) -> dict[str, float]:
        """Share of the image's pixels, from 0 to 1, by the names of the classes that it shows; the largest first."""
        total = self.width * self.height
        of_class = [(name, count / total) for name, count in zip(self.classes, self.pixels, strict=True) if count]
        return dict(sorted(of_class, key=lambda item: -item[1]))

    def image(self) -> Image:
        """The class index of each pixel as a PIL image.

        Its mode is L; with 16 bits I;16, which some Pillows read as I.
        """
        return _open(self.png)

    def indices(self) -> Sequence[int]:
        """The class index of each pixel, row by row from the top."""
        return values_of(self.image())

    def mask(self, label: str) -> Image:
        """One class as a PIL image of the mode L: 255 where the image shows it, 0 elsewhere.

        Raises:
            ValueError: there is no such class.
        """
        from PIL import Image

        if label not in self.classes:
            raise ValueError(f"there is no class {label!r}; there are: {', '.join(self.classes)}")
        index = self.classes.index(label)
        image = self.image()
        if self.png[_DEPTH] == _BYTE:
            return image.point([255 if value == index else 0 for value in range(256)])
        data = bytes(255 if value == index else 0 for value in values_of(image))
        return Image.frombytes("L", image.size, data)

    def coloured(self) -> Image:
        """A PIL image of the mode P: each class in its colour, a background black. After 256 classes colours repeat."""
        from PIL import Image

        image = self.image()
        if self.png[_DEPTH] == _WORD:
            image = Image.frombytes("L", image.size, bytes(value % _PALETTE for value in values_of(image)))
        image.putpalette([part for index in range(_PALETTE) for part in self.colour(index)])
        return image

    def colour(self, index: int) -> tuple[int, int, int]:
        """What `coloured` paints a class in, by its index: red, green and blue, from 0 to 255."""
        from visiontrain.painting import colour_of

        return (0, 0, 0) if self.is_background(index) else colour_of(index)

    def is_background(self, index: int) -> bool:
        """Whether a class is called background."""
        return index < len(self.classes) and self.classes[index].lower() in _BACKGROUND

    def save(self, path: Path) -> None:
        """Write a PNG whose pixels are class indices: with a palette, so that it can be looked at, up to 256 classes.

        Raises:
            OSError: the disk does not take it.
        """
        if self.png[_DEPTH] == _WORD:
            path.write_bytes(self.png)
        else:
            self.coloured().save(path, format="PNG")


def _open(png: bytes) -> Image:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes: the image itself was as large
        image = Image.open(io.BytesIO(png), formats=("PNG",))
        image.load()
    return image


def values_of(image: Image) -> Sequence[int]:
    """The values of pixels, row by row from the top, of an image of one number a pixel; of 1 bit they are 0 and 1.

    Raises:
        ValueError: it has several.
    """
    if image.mode in ("L", "P"):
        return image.tobytes()
    if image.mode == "1":
        return image.convert("L").point([0] + [1] * 255).tobytes()
    if image.mode == "I":  # as some Pillows read 16 bits
        return array("i", image.tobytes())
    if image.mode not in ("I;16", "I;16L", "I;16B"):
        raise ValueError(f"pixels of the mode {image.mode} are several numbers each")
    numbers = array("H", image.tobytes())
    if (image.mode == "I;16B") != (sys.byteorder == "big"):
        numbers.byteswap()
    return numbers
