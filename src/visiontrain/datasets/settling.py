"""From an annotation to an object of an image whose size is known: pixels, inside of it, and what was wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from visiontrain.datasets.annotation import Annotation, FlawCode
from visiontrain.datasets.geometry import bounds, clip_box, clip_polygon, polygon_area, scaled
from visiontrain.datasets.objects import Box, Keypoint, Object, Polygon, Quad
from visiontrain.protocol.tasks import Task

__all__ = ["TOLERANCE", "Flaw", "Unsettled", "settle"]

#: Pixels that a box may reach out of its image by rounding.
TOLERANCE = 2.0

_EXACT = 1e-3  # pixels: less is an error of floating point, and nobody's business
_FARTHEST = 1e7  # pixels: no image is as large
_TRIANGLE = 6  # numbers of the smallest polygon
_VISIBLE = 2


@dataclass(frozen=True)
class Flaw:
    """What is wrong with an annotation, in words."""

    code: FlawCode
    reason: str


class Unsettled(Exception):  # noqa: N818 - a flaw, and no error of a program
    """The annotation can't be used."""

    def __init__(self, code: FlawCode, reason: str) -> None:
        super().__init__(reason)
        self.flaw = Flaw(code, reason)


def settle(
    found: Annotation, label: int, width: int, height: int, *, task: Task, points: int = 0
) -> tuple[Object, tuple[Flaw, ...]]:
    """The object that an annotation means, with what the task needs of it.

    Args:
        found: As its file has it.
        label: Its class index.
        width: Of the image as shown, in pixels.
        height: As `width`.
        task: Decides what of it is kept.
        points: Number of keypoints that each object has.

    Returns:
        The object, and flaws that are no reason to leave it out.

    Raises:
        Unsettled: it can't be used, or shows nothing that is inside of the image.
    """
    _check_numbers(found)
    if found.mask is not None and (found.mask.height, found.mask.width) != (height, width):
        size = f"{found.mask.width} x {found.mask.height}"
        raise Unsettled("bad-annotations", f"its mask is of {size} pixels, and its image of {width} x {height}")
    sides = (float(width), float(height)) if found.shares else (1.0, 1.0)
    whole = _box(found, sides)
    if not (whole[2] > whole[0] and whole[3] > whole[1]):
        raise Unsettled("degenerate-boxes", f"its box is {_sides(whole)} pixels")
    box = clip_box(whole, width, height)
    if not (box[2] > box[0] and box[3] > box[1]):
        raise Unsettled("boxes-outside", f"its box lies outside of the image: {_words(whole)}")
    flaws = list(_outside(whole, width, height))
    polygons: tuple[Polygon, ...] = ()
    keypoints: tuple[Keypoint, ...] = ()
    quad: Quad | None = None
    if task is Task.segment:
        polygons = _polygons(found, sides, width, height)
        if not polygons and found.mask is None and not found.crowd:
            raise Unsettled("no-outlines", "it has no outline and no mask")
    elif task is Task.pose:
        keypoints, flaw = _keypoints(found, sides, width, height, points)
        flaws += flaw
    elif task is Task.obb:
        quad = _quad(found, sides)
    found_object = Object(
        label,
        box,
        polygons,
        found.mask if task is Task.segment and not polygons else None,
        keypoints,
        quad,
        found.crowd,
        found.difficult,
        found.truncated,
    )
    return found_object, tuple(flaws)


def _check_numbers(found: Annotation) -> None:
    for values in (found.box or (), *found.polygons, found.keypoints, found.quad or ()):
        if not all(map(math.isfinite, values)):
            value = next(value for value in values if not math.isfinite(value))
            raise Unsettled("bad-annotations", f"it has the number {value}")
        if values and not -_FARTHEST <= min(values) <= max(values) <= _FARTHEST:
            value = max(values, key=abs)
            raise Unsettled("bad-annotations", f"it has the number {value:g}, and no image is as large")
    if any(len(polygon) % 2 for polygon in found.polygons):
        raise Unsettled("bad-annotations", "its outline has a point with one number")


def _box(found: Annotation, sides: tuple[float, float]) -> Box:
    if found.box is not None:
        return cast("Box", scaled(found.box, *sides))
    points = [value for polygon in found.polygons for value in polygon] or found.quad
    if points:
        return bounds(scaled(points, *sides))
    box = found.mask.box() if found.mask else None
    if box is None:
        raise Unsettled("degenerate-boxes", "its mask has no pixel" if found.mask else "it has no box")
    return box


def _outside(box: Box, width: int, height: int) -> tuple[Flaw, ...]:
    out = max(-box[0], -box[1], box[2] - width, box[3] - height)
    if out > TOLERANCE:
        return (Flaw("boxes-outside", f"its box reaches {out:.1f} pixels out of the image: {_words(box)}"),)
    return (Flaw("boxes-clipped", f"its box reaches {out:.2f} pixels out of the image"),) if out > _EXACT else ()


def _polygons(found: Annotation, sides: tuple[float, float], width: int, height: int) -> tuple[Polygon, ...]:
    # One or two points are what is left of a click by mistake.
    drawn = (scaled(polygon, *sides) for polygon in found.polygons if len(polygon) >= _TRIANGLE)
    inside = (clip_polygon(polygon, width, height) for polygon in drawn)
    kept = tuple(polygon for polygon in inside if len(polygon) >= _TRIANGLE and polygon_area(polygon) > 0)
    if found.polygons and not kept:
        raise Unsettled("degenerate-boxes", "its outline has no area inside of the image")
    return kept


def _keypoints(
    found: Annotation, sides: tuple[float, float], width: int, height: int, number: int
) -> tuple[tuple[Keypoint, ...], list[Flaw]]:
    points: list[Keypoint] = []
    outside = 0
    values = found.keypoints or (0.0,) * 3 * number
    if len(values) != 3 * number:
        raise Unsettled("bad-annotations", f"it has {len(values) / 3:g} keypoints, and others have {number}")
    for x, y, seen in zip(values[0::3], values[1::3], values[2::3], strict=True):
        if seen not in (0, 1, _VISIBLE):
            raise Unsettled(
                "bad-annotations", f"it has a keypoint of the visibility {seen:g}, and there are 0, 1 and 2"
            )
        across, down = x * sides[0], y * sides[1]
        out = max(-across, -down, across - width, down - height)
        if seen and out > TOLERANCE:
            outside += 1
        shown = bool(seen) and out <= TOLERANCE
        points.append(
            Keypoint(min(max(across, 0.0), width), min(max(down, 0.0), height), int(seen))
            if shown
            else Keypoint(0.0, 0.0, 0)
        )
    reason = f"{outside} of its keypoints are outside of the image"
    return tuple(points), [Flaw("keypoints-outside", reason)] if outside else []


def _quad(found: Annotation, sides: tuple[float, float]) -> Quad:
    corners = found.quad
    if corners is None:
        raise Unsettled("no-quads", "it has no four corners")
    if polygon_area(corners) <= 0:
        raise Unsettled("degenerate-boxes", "its four corners have no area")
    return cast("Quad", scaled(corners, *sides))


def _sides(box: Box) -> str:
    return f"{box[2] - box[0]:g} x {box[3] - box[1]:g}"


def _words(box: Box) -> str:
    return ", ".join(f"{value:.1f}" for value in box)
