"""Figures for the samples of objects: each with an outline, and some with keypoints or sides to turn a box by."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from visiontrain.datasets.geometry import bounds
from visiontrain.datasets.objects import Box, Skeleton
from visiontrain.datasets.shapes import OUTLINES, SMOOTH, Canvas, Place

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ARROW", "ARROWS", "SHAPES", "SLABS", "Drawn", "Figure", "Scene", "draw_scene", "scenes_of"]

_Point = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """What can be drawn, within the unit circle.

    Args:
        outline: Its corners.
        keypoints: Where they are.
        half: Half the length and half the width of the tightest box that turns with it; None: it has no direction.
    """

    outline: tuple[_Point, ...]
    keypoints: tuple[_Point, ...] = ()
    half: _Point | None = None


@dataclass(frozen=True)
class Drawn:
    """A figure in an image; x and y in turn, in pixels."""

    name: str
    box: Box
    outline: tuple[float, ...]
    keypoints: tuple[float, ...]
    quad: tuple[float, ...]


@dataclass(frozen=True)
class Scene:
    """An image of a sample: its path relative to the sample, its split, what it is sure to show, and its number."""

    path: PurePath
    split: str
    kind: str
    number: int


def _round(count: int, half: _Point) -> tuple[_Point, ...]:
    turns = [2 * math.pi * number / count for number in range(count)]
    return tuple((half[0] * math.cos(turn), half[1] * math.sin(turn)) for turn in turns)


_CIRCLE = 32  # corners that nobody tells from a circle
_BAR, _OVAL = (1.0, 0.3), (1.0, 0.5)

SHAPES: Mapping[str, Figure] = {"circle": Figure(_round(_CIRCLE, (1.0, 1.0)))} | {
    name: Figure(OUTLINES[name]) for name in ("cross", "square", "star", "triangle")
}
SLABS: Mapping[str, Figure] = {
    "bar": Figure(tuple((u * _BAR[0], v * _BAR[1]) for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))), half=_BAR),
    "oval": Figure(_round(_CIRCLE, _OVAL), half=_OVAL),
}
_SHAFT, _HEAD, _BARB = 0.22, 0.25, 0.75
ARROWS: Mapping[str, Figure] = {
    "arrow": Figure(
        (
            (1.0, 0.0),
            (_HEAD, _BARB),
            (_HEAD, _SHAFT),
            (-0.9, _SHAFT),
            (-0.9, -_SHAFT),
            (_HEAD, -_SHAFT),
            (_HEAD, -_BARB),
        ),
        keypoints=((1.0, 0.0), (-0.9, 0.0), (_HEAD, -_BARB), (_HEAD, _BARB)),
    )
}
#: What the keypoints of an arrow are: left and right are told as seen by one who goes where it points.
ARROW = Skeleton(("tip", "tail", "left_barb", "right_barb"), ((0, 1), (0, 2), (0, 3)), (0, 1, 3, 2))

_PLACES = tuple((x, y) for x in (0.26, 0.74) for y in (0.26, 0.74))
_WANDER = 0.07
_RADIUS = (0.09, 0.165)


def scenes_of(
    folders: str, figures: Mapping[str, Figure], images_per_class: Mapping[str, int], image_format: str
) -> Iterator[Scene]:
    """All images of a sample; `folders` is a pattern with ``{}`` for the split."""
    for split, count in images_per_class.items():
        for kind in figures:
            for number in range(count):
                yield Scene(PurePath(folders.format(split), f"{kind}-{number:04}.{image_format}"), split, kind, number)


def draw_scene(
    name: str,
    seed: int,
    scene: Scene,
    figures: Mapping[str, Figure],
    image_size: int,
    *,
    hues: Mapping[str, float] | None = None,
) -> tuple[Image, list[Drawn]]:
    """One to four figures, one of them of the scene's kind; `name` is the sample's.

    Their colours are about the hues, from 0 to 1 by class, or any.
    """
    # A generator an image: changing one number changes no other image.
    source = random.Random(f"{seed}/{name}/{scene.split}/{scene.kind}/{scene.number}")  # noqa: S311 - not for secrets
    kinds = [scene.kind, *source.choices(list(figures), k=source.randrange(len(_PLACES)))]
    canvas = Canvas(source, image_size)
    drawn = []
    for kind, about in zip(kinds, source.sample(_PLACES, len(kinds)), strict=True):
        place = canvas.place(about, _WANDER, _RADIUS)
        found = _measure(kind, figures[kind], place)
        corners = [place.put(*point) for point in figures[kind].outline]
        canvas.draw.polygon(corners, fill=canvas.colour(None if hues is None else hues[kind]))
        drawn.append(found)
    return canvas.finish(), drawn


def _measure(name: str, figure: Figure, place: Place) -> Drawn:
    outline = _put(figure.outline, place)
    quad: tuple[float, ...] = ()
    if figure.half is not None:
        a, b = figure.half
        quad = _put(((-a, -b), (a, -b), (a, b), (-a, b)), place)
    return Drawn(name, bounds(outline), outline, _put(figure.keypoints, place), quad)


def _put(points: tuple[_Point, ...], place: Place) -> tuple[float, ...]:
    """In pixels of the image."""
    return tuple(value / SMOOTH for point in points for value in place.put(*point))
