"""The sample ``shapes``: one drawn shape an image, to be told from the others whatever its colour, size and angle."""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = [
    "CLASSES",
    "OUTLINES",
    "QUALITY",
    "SMOOTH",
    "Canvas",
    "Place",
    "draw_shape",
    "draw_shapes",
    "list_shapes",
    "make_shapes",
]

CLASSES = ("circle", "cross", "ring", "square", "star", "triangle")

_Colour = tuple[int, int, int]
_Point = tuple[float, float]

#: A canvas is larger than its image by this.
SMOOTH = 2
_DARK, _BRIGHT = (0, 110), (120, 255)  # of each channel: background, and what is drawn on it
_NEAR = 0.05  # how far from a hue a colour may be
_CLUTTER = 4  # lines and dots that belong to no shape, at the most
_NOISE = 0.12  # share of noise in the picture
QUALITY = 88


def make_shapes(
    folder: Path, seed: int, images_per_class: Mapping[str, int], image_size: int, image_format: str
) -> None:
    """Write ``<split>/<class>/<number>.<image_format>`` into `folder`: RGB, `image_size` pixels square."""
    for split, count in images_per_class.items():
        for name in CLASSES:
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                # A generator an image: changing one number changes no other image.
                source = random.Random(f"{seed}/{split}/{name}/{number}")  # noqa: S311 - not for secrets
                draw_shape(name, source, image_size).save(place / _file_name(number, image_format), quality=QUALITY)


def list_shapes(images_per_class: Mapping[str, int], image_format: str) -> Iterator[PurePath]:
    """The files that `make_shapes` writes, relative to the folder."""
    for split, count in images_per_class.items():
        for name in CLASSES:
            yield from (PurePath(split, name, _file_name(number, image_format)) for number in range(count))


def _file_name(number: int, image_format: str) -> str:
    return f"{number:04}.{image_format}"


def draw_shape(name: str, source: random.Random, image_size: int) -> Image:
    """One shape of random colour, size, place and angle before a noisy background; RGB, `image_size` pixels square."""
    return draw_shapes([(name, (0.5, 0.5))], source, image_size, wander=0.12, radius=(0.25, 0.42))


def draw_shapes(
    shapes: Iterable[tuple[str, _Point]],
    source: random.Random,
    image_size: int,
    *,
    wander: float,
    radius: tuple[float, float],
) -> Image:
    """Several shapes, as `draw_shape` draws one.

    Args:
        shapes: The name of each, and about where it goes.
        source: Decides everything else.
        image_size: Side of the square image in pixels.
        wander: How far from its place a shape may lie, along each axis.
        radius: The smallest and the largest. Places and lengths are shares of the image's side.
    """
    canvas = Canvas(source, image_size)
    for name, about in shapes:
        place = canvas.place(about, wander, radius)
        _paint(canvas.draw, name, place, canvas.colour())
    return canvas.finish()


class Canvas:
    """A background to draw on, twice as large as the image, for smooth edges.

    Args:
        source: Decides everything that is random.
        image_size: Side of the square image in pixels.
    """

    def __init__(self, source: random.Random, image_size: int) -> None:
        from PIL import Image, ImageDraw

        self._source = source
        self._image_size = image_size
        self._side = side = image_size * SMOOTH
        shade = Image.frombytes("RGB", (4, 4), bytes(source.randint(*_DARK) for _ in range(4 * 4 * 3)))
        self._picture = shade.resize((side, side), Image.Resampling.BICUBIC)
        self.draw = ImageDraw.Draw(self._picture)
        for _ in range(source.randint(0, _CLUTTER)):
            ends = [source.uniform(0, side) for _ in range(4)]
            self.draw.line(ends, fill=self.colour(), width=max(1, side // 64))

    def place(self, about: _Point, wander: float, radius: tuple[float, float]) -> Place:
        """A random place, at any angle; lengths are shares of the image's side."""
        x, y = (self._side * self._source.uniform(at - wander, at + wander) for at in about)
        return Place(x, y, self._side * self._source.uniform(*radius), self._source.uniform(0, 2 * math.pi))

    def colour(self, hue: float | None = None) -> _Colour:
        """A random bright colour; about a hue, from 0 to 1, where one is given."""
        if hue is None:
            return _colour(self._source, _BRIGHT)
        shade = (hue + self._source.uniform(-_NEAR, _NEAR)) % 1, self._source.uniform(0.45, 0.7), 0.9
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(*shade))
        return red, green, blue

    def finish(self) -> Image:
        """The image, with noise; RGB."""
        from PIL import Image

        size = (self._image_size, self._image_size)
        picture = self._picture.resize(size, Image.Resampling.BOX)
        noise = Image.frombytes("RGB", size, self._source.randbytes(3 * self._image_size * self._image_size))
        return Image.blend(picture, noise, _NOISE)


@dataclass(frozen=True)
class Place:
    """Where a shape goes: pixels of the canvas, and radians."""

    x: float
    y: float
    radius: float
    angle: float

    def put(self, u: float, v: float) -> _Point:
        """A point of the unit circle, turned, scaled and moved there."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return self.x + self.radius * (u * cos - v * sin), self.y + self.radius * (u * sin + v * cos)


def _paint(draw: ImageDraw, name: str, place: Place, colour: _Colour) -> None:
    x, y, radius = place.x, place.y, place.radius
    box = (x - radius, y - radius, x + radius, y + radius)
    if name == "circle":
        draw.ellipse(box, fill=colour)
    elif name == "ring":
        draw.ellipse(box, outline=colour, width=max(2, round(radius * 0.35)))
    else:
        draw.polygon([place.put(u, v) for u, v in OUTLINES[name]], fill=colour)


def _regular(corners: int, inner: float = 1.0) -> tuple[_Point, ...]:
    """A polygon in the unit circle; every second corner at distance `inner`."""
    turns = [2 * math.pi * number / corners for number in range(corners)]
    return tuple(
        (math.cos(turn) * (inner if number % 2 else 1.0), math.sin(turn) * (inner if number % 2 else 1.0))
        for number, turn in enumerate(turns)
    )


_ARM = 0.3  # half the width of the cross's arms
#: Corners within the unit circle.
OUTLINES: Mapping[str, tuple[_Point, ...]] = {
    "triangle": _regular(3),
    "square": _regular(4),
    "star": _regular(10, inner=0.4),
    "cross": tuple(
        (u * cos - v * sin, u * sin + v * cos)
        for cos, sin in ((1, 0), (0, 1), (-1, 0), (0, -1))
        for u, v in ((1.0, -_ARM), (1.0, _ARM), (_ARM, _ARM))
    ),
}


def _colour(source: random.Random, span: tuple[int, int]) -> _Colour:
    return source.randint(*span), source.randint(*span), source.randint(*span)
