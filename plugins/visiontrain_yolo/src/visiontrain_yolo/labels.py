"""An image's objects as Ultralytics' augmentation takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import cv2
import numpy as np
from ultralytics.data.converter import merge_multi_segment

from visiontrain.datasets.index import Image
from visiontrain.datasets.masks import Mask
from visiontrain.datasets.objects import Object
from visiontrain.protocol.tasks import Task

__all__ = ["label_of"]

Floats = np.ndarray[Any, np.dtype[np.float32]]


def label_of(image: Image, task: Task, *, classes: int, keypoints: int, train: bool) -> dict[str, Any]:
    """What Ultralytics' datasets hold of an image.

    Args:
        image: Of the index.
        task: What is needed of its objects: outlines, keypoints or turned boxes beside boxes.
        classes: How many there are.
        keypoints: Of each object, for the task pose.
        train: Leave out what is not trained on, which is what stands for several objects. Otherwise what an evaluation
            passes over has its class counted from `classes` on.
    """
    objects = [found for found in image.objects if not (train and found.crowd)]
    boxes = np.array([found.box for found in objects], dtype=np.float64).reshape(-1, 4)
    size = np.array([image.width, image.height], dtype=np.float64)
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2 / size, (boxes[:, 2:] - boxes[:, :2]) / size
    outlines: list[Floats] = []
    if task is Task.segment:
        outlines = [_outline(found) for found in objects]
    elif task is Task.obb:
        outlines = [_points(found.quad or _corners(found)) for found in objects]
    return {
        "im_file": image.path,
        "cls": _classes(objects, classes, train=train),
        "bboxes": np.concatenate([centres, sides], axis=1).astype(np.float32),
        "segments": [(outline / size).astype(np.float32) for outline in outlines],
        "keypoints": _keypoints(objects, size, keypoints) if task is Task.pose else None,
        "normalized": True,
        "bbox_format": "xywh",
    }


def _classes(objects: Sequence[Object], classes: int, *, train: bool) -> Floats:
    labels = [found.label + classes * (found.ignored and not train) for found in objects]
    return np.array(labels, dtype=np.float32).reshape(-1, 1)


def _keypoints(objects: Sequence[Object], size: np.ndarray[Any, np.dtype[np.float64]], count: int) -> Floats:
    """x and y as shares of the image's sides, and visibility: (objects, count, 3); zeros where nothing is labelled."""
    found = np.zeros((len(objects), count, 3), dtype=np.float64)
    for row, each in zip(found, objects, strict=True):
        if each.keypoints:
            row[:] = each.keypoints
    found[..., :2] = np.where(found[..., 2:] > 0, found[..., :2] / size, 0)
    return found.astype(np.float32)


def _outline(found: Object) -> Floats:
    """One line around all parts of an object, (points, 2) in pixels: parts are joined by a line without a width."""
    parts: Sequence[Sequence[float]] = found.polygons
    if not parts and found.mask is not None:
        parts = _outlines(found.mask)
    if not parts:
        return _points(_corners(found))
    if len(parts) == 1:
        return _points(parts[0])
    merge: Any = merge_multi_segment
    return np.concatenate(merge([list(part) for part in parts]), axis=0).astype(np.float32)


def _outlines(mask: Mask) -> list[list[float]]:
    """Lines around the pixels of a mask; each through the middle of its outermost pixels."""
    pixels = np.frombuffer(mask.pixels(), dtype=np.uint8).reshape(mask.height, mask.width)
    lines, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [(line.reshape(-1) + 0.5).tolist() for line in lines if len(line) > 2]  # noqa: PLR2004 - three make an area


def _corners(found: Object) -> tuple[float, ...]:
    left, top, right, bottom = found.box
    return left, top, right, top, right, bottom, left, bottom


def _points(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float32).reshape(-1, 2)
