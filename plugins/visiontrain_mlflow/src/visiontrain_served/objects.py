"""From what an exported detector gives to objects in pixels of the image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from visiontrain_served.grids import grid_pixels
from visiontrain_served.images import Array, Seen, to_png

__all__ = ["CONFIDENCE", "find_objects"]

#: Score from which on an object is told, where nobody says otherwise.
CONFIDENCE = 0.25

_SIDES = ("x1", "y1", "x2", "y2")

_TINY = 1e-7


def find_objects(told: dict[str, Any], found: dict[str, Array], seen: Seen, confidence: float) -> list[dict[str, Any]]:
    """The objects of an image, the best first.

    Args:
        told: The model's ``model.json``.
        found: Its outputs for the image, by name.
        seen: What it saw.
        confidence: The least score.
    """
    boxes, scores, labels = found["boxes"], found["scores"], found.get("labels")
    if labels is None:  # scores have a column a class
        labels, scores = scores.argmax(1), scores.max(1)
    objects = []
    for number in _kept(told["suppression"], boxes, scores, labels, confidence):
        corners = _corners(boxes[number])
        turned = len(corners) > 2  # noqa: PLR2004 - left, top and right, bottom of one that is not
        box = np.stack([corners.min(0), corners.max(0)]) if turned else corners
        box = seen.to_image_inside(box).ravel().tolist()
        if not (box[0] < box[2] and box[1] < box[3]):
            continue  # wholly outside of the image, or without an area
        label = int(labels[number])
        told_of = {"label": told["classes"][label], "label_id": label, "confidence": float(scores[number])}
        told_of.update(zip(_SIDES, box, strict=True))
        if turned:
            told_of["corners"] = seen.to_image(corners).tolist()
        if "keypoints" in found:
            told_of["keypoints"] = _keypoints(told["skeleton"]["names"], found["keypoints"][number], seen)
        if "prototypes" in found:
            prototypes = found["prototypes"]
            logits = np.tensordot(found["coefficients"][number], prototypes, axes=1)
            told_of["mask"] = to_png(_mask(logits, seen, _range(box[1], box[3]), _range(box[0], box[2])))
        elif "masks" in found:
            told_of["mask"] = to_png(_mask(found["masks"][number], seen, *_around(box, seen)))
        objects.append(told_of)
    return objects


def _kept(suppression: dict[str, Any] | None, boxes: Array, scores: Array, labels: Array, least: float) -> list[int]:
    """Rows by falling score, without those that a better one of their class overlaps too much."""
    rest = np.argsort(-scores, kind="stable")
    rest = rest[scores[rest] >= least]
    if suppression is None:
        return [int(number) for number in rest]
    if boxes.shape[1] > len(_SIDES):
        return _kept_turned(suppression, boxes, labels, rest)
    kept: list[int] = []
    while len(rest) and len(kept) < suppression["max_det"]:
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        near = _overlaps(boxes[best], boxes[rest]) > suppression["iou"]
        rest = rest[~(near & (labels[rest] == labels[best]))]
    return kept


def _kept_turned(suppression: dict[str, Any], boxes: Array, labels: Array, ranked: Array) -> list[int]:
    """Of turned boxes the same, as training does it: also one that is left out itself keeps others away."""
    kept: list[int] = []
    for place, number in enumerate(ranked):
        better = ranked[:place][labels[ranked[:place]] == labels[number]]
        if not (_likeness(boxes[number], boxes[better]) >= suppression["iou"]).any():
            kept.append(int(number))
    return kept[: suppression["max_det"]]


def _overlaps(box: Array, others: Array) -> Array:
    """Intersection over union of a box with others: left, top, right, bottom."""
    least, most = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(most - least, 0, None).prod(1)
    overlaps: Array = shared / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - shared)
    return overlaps


def _likeness(box: Array, others: Array) -> Array:
    """How alike the normal distributions of turned boxes are, from 0 to 1 (ProbIoU, arXiv 2106.06072)."""
    a, b, c = (one + other for one, other in zip(_spread(box[None]), _spread(others), strict=True))
    x, y = (box[:2] - others[:, :2]).T
    area = a * b - c**2
    apart = (a * y**2 + b * x**2 - 2 * c * x * y) / (area + _TINY) / 4
    own, other = (np.clip(a * b - c**2, 0, None) for a, b, c in (_spread(box[None]), _spread(others)))
    apart += np.log(area / (4 * np.sqrt(own * other) + _TINY) + _TINY) / 2
    alike: Array = 1 - np.sqrt(1 - np.exp(-np.clip(apart, _TINY, 100)) + _TINY)
    return alike


def _spread(boxes: Array) -> tuple[Array, Array, Array]:
    """Variances along x and y and their covariance, of turned boxes: centre, width, height, angle."""
    wide, tall = boxes[:, 2] ** 2 / 12, boxes[:, 3] ** 2 / 12
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    return wide * cos**2 + tall * sin**2, wide * sin**2 + tall * cos**2, (wide - tall) * cos * sin


def _corners(box: Array) -> Array:
    """Of left, top, right and bottom the two corners; of a turned box its four, in order around it. (corners, 2)."""
    if len(box) == len(_SIDES):
        return box.reshape(2, 2)
    centre, (width, height, angle) = box[:2], box[2:]
    along = np.array([math.cos(angle), math.sin(angle)]) * width / 2
    across = np.array([-math.sin(angle), math.cos(angle)]) * height / 2
    return np.stack(
        [centre + along + across, centre + along - across, centre - along - across, centre - along + across]
    )


def _keypoints(names: list[str], points: Array, seen: Seen) -> list[dict[str, Any]]:
    placed = seen.to_image_inside(points[:, :2]).tolist()
    return [
        {"name": name, "x": x, "y": y, "confidence": float(score)}
        for name, (x, y), score in zip(names, placed, points[:, 2], strict=True)
    ]


def _mask(grid: Array, seen: Seen, rows: range, columns: range) -> Array:
    """255 at the pixels where the grid is above 0, 0 elsewhere; of the image's size."""
    width, height = seen.image
    mask = np.zeros((height, width), dtype=np.uint8)
    inside = grid_pixels(grid, seen, rows, columns) > 0
    mask[rows.start : rows.stop, columns.start : columns.stop] = np.where(inside, 255, 0)
    return mask


def _range(first: float, last: float) -> range:
    """Pixels whose middle lies between two places."""
    return range(math.ceil(first - 0.5), math.ceil(last - 0.5))


def _around(box: list[float], seen: Seen) -> tuple[range, range]:
    """Rows and columns in which a mask's pixels are: its box is rounded to pixels of what the model saw."""
    across, down = (math.ceil(1 / scale) for scale in seen.scale)
    rows = range(max(0, math.floor(box[1]) - down), min(seen.image[1], math.ceil(box[3]) + down))
    columns = range(max(0, math.floor(box[0]) - across), min(seen.image[0], math.ceil(box[2]) + across))
    return rows, columns
