"""Plain geometry of boxes and polygons, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

from visiontrain.datasets.objects import Box

__all__ = ["bounds", "clip_box", "clip_polygon", "polygon_area", "scaled"]

_Point = tuple[float, float]


def bounds(values: Sequence[float]) -> Box:
    """The smallest box around points, x and y in turn."""
    return min(values[0::2]), min(values[1::2]), max(values[0::2]), max(values[1::2])


def scaled(values: Sequence[float], width: float, height: float) -> tuple[float, ...]:
    """Points, x and y in turn, from shares to pixels; a width and height of 1 leave them as they are."""
    if width == 1 and height == 1:
        return tuple(values)
    return tuple(value * (height if number % 2 else width) for number, value in enumerate(values))


def clip_box(box: Box, width: float, height: float) -> Box:
    """What of a box is inside of an image of that size; no width or height where nothing is."""
    x1, y1, x2, y2 = box
    return min(max(x1, 0.0), width), min(max(y1, 0.0), height), max(min(x2, width), 0.0), max(min(y2, height), 0.0)


def polygon_area(polygon: Sequence[float]) -> float:
    """Area within a polygon that does not cross itself."""
    xs, ys = polygon[0::2], polygon[1::2]
    before_x, before_y = (*xs[-1:], *xs[:-1]), (*ys[-1:], *ys[:-1])
    twice: float = sum(map(mul, before_x, ys)) - sum(map(mul, xs, before_y))
    return abs(twice) / 2


def clip_polygon(polygon: Sequence[float], width: float, height: float) -> tuple[float, ...]:
    """What of a polygon is inside of an image of that size; empty where nothing is.

    Parts that the image's edge tells from one another stay one polygon, connected along that edge.
    """
    x1, y1, x2, y2 = bounds(polygon)
    if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
        return tuple(polygon)
    points = list(zip(polygon[0::2], polygon[1::2], strict=True))
    for axis, least, most, edge in ((0, x1, x2, width), (1, y1, y2, height)):
        if least < 0:
            points = _cut(points, axis, 0.0, 1)
        if most > edge:
            points = _cut(points, axis, edge, -1)
    return tuple(value for point in points for value in point)


def _cut(points: Sequence[_Point], axis: int, edge: float, side: int) -> list[_Point]:
    """Sutherland and Hodgman's way: the part on one side of an edge, where the number less `edge` has `side`'s sign."""
    kept: list[_Point] = []
    for number, point in enumerate(points):
        before = points[number - 1]
        here, there = side * (point[axis] - edge), side * (before[axis] - edge)
        if (here >= 0) != (there >= 0):
            share = there / (there - here)
            x, y = (a + share * (b - a) for a, b in zip(before, point, strict=True))
            kept.append((x, edge) if axis else (edge, y))  # exactly on it, whatever the rounding of the share
        if here >= 0:
            kept.append(point)
    return kept
