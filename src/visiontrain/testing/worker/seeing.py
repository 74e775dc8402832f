"""What the fake framework sees in images: always the same, and of the form that the task has."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visiontrain.datasets.masks import Mask
from visiontrain.protocol.inference import (
    ClassifyPrediction,
    ImagePrediction,
    ImageSource,
    KeypointPrediction,
    MaskRuns,
    ObjectPrediction,
)
from visiontrain.protocol.tasks import Task
from visiontrain.worker.class_maps import class_map

__all__ = ["Knowledge", "classify", "find_objects", "map_classes"]

#: What image files begin with.
_IMAGES = (b"\xff\xd8", b"\x89P", b"II", b"MM", b"BM", b"GI", b"RI", b"P5", b"P6")

#: Scores of the two objects that are found in every image.
_SURE, _UNSURE = 0.9, 0.4

_ORIENTATION = 0x0112

_Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Knowledge:
    """What the fake has learnt, for its task; `packages` is the folder of the host's Pillow."""

    task: Task
    classes: tuple[str, ...]
    keypoints: tuple[str, ...]
    packages: str


def classify(source: ImageSource, known: Knowledge) -> ImagePrediction:
    """The class that the image's folder is named after, where there is one; else the first."""
    width, height = (source.raw.width, source.raw.height) if source.raw is not None else (1, 1)
    if source.raw is None:
        try:
            with Path(source.path).open("rb") as file:
                beginning = file.read(2)
        except OSError as error:
            return _unreadable(source, error)
        if beginning not in _IMAGES:
            return ImagePrediction(error=f"{source.path}: can't be decoded")
    classes = known.classes
    seen = _named(source, classes)
    others = 0.1 / max(1, len(classes) - 1)
    scores = tuple(0.9 if number == seen else others for number in range(len(classes)))
    return ImagePrediction(width, height, classify=ClassifyPrediction(scores))


def find_objects(source: ImageSource, known: Knowledge, confidence: float) -> ImagePrediction:
    """Two objects, where the confidence lets them pass.

    One of the score 0.9 in the middle of the image, half as wide and high, of the class that the image's folder is
    named after, else the first; one of 0.4 in the upper left quarter, of the class after that.
    """
    try:
        width, height = _size(source, known.packages)
    except OSError as error:
        return _unreadable(source, error)
    seen = _named(source, known.classes)
    middle = (width // 4, height // 4, max(width // 4 + 1, 3 * width // 4), max(height // 4 + 1, 3 * height // 4))
    corner = (0, 0, max(1, width // 2), max(1, height // 2))
    found = (
        _object(seen, _SURE, middle, (width, height), known),
        _object((seen + 1) % len(known.classes), _UNSURE, corner, (width, height), known),
    )
    return ImagePrediction(width, height, objects=tuple(each for each in found if each.score >= confidence))


def map_classes(source: ImageSource, known: Knowledge) -> ImagePrediction:
    """The upper left quarter is of the second class, the rest of the first."""
    try:
        width, height = _size(source, known.packages)
    except OSError as error:
        return _unreadable(source, error)
    corner, across, down = 1 % len(known.classes), max(1, width // 2), max(1, height // 2)
    upper = bytes([corner]) * across + bytes(width - across)
    return ImagePrediction(
        width, height, class_map=class_map(width, height, upper * down + bytes(width * (height - down)))
    )


def _object(label: int, score: float, box: _Box, size: tuple[int, int], known: Knowledge) -> ObjectPrediction:
    """An object that fills its box; its keypoints lie on the diagonal, its turned box stands on a corner."""
    left, top, right, bottom = map(float, box)
    mask, quad = None, None
    points: tuple[KeypointPrediction, ...] = ()
    if known.task is Task.segment:
        mask = _mask(box, size)
    elif known.task is Task.pose:
        parts = [(number + 0.5) / len(known.keypoints) for number in range(len(known.keypoints))]
        points = tuple(
            KeypointPrediction(left + part * (right - left), top + part * (bottom - top), score) for part in parts
        )
    elif known.task is Task.obb:
        across, down = (left + right) / 2, (top + bottom) / 2
        quad = (across, top, right, down, across, bottom, left, down)
    return ObjectPrediction(label, score, (left, top, right, bottom), mask, points, quad)


def _mask(box: _Box, size: tuple[int, int]) -> MaskRuns:
    left, top, right, bottom = box
    width, height = size
    rows, below = bottom - top, height - (bottom - top)
    counts = [left * height + top, *[rows, below] * (right - left)]
    counts[-1] = (width - right) * height + height - bottom
    return MaskRuns(height, width, Mask.from_counts(height, width, counts).data.decode("ascii"))


def _named(source: ImageSource, classes: tuple[str, ...]) -> int:
    name = Path(source.path).parent.name
    return classes.index(name) if name in classes else 0


def _size(source: ImageSource, packages: str) -> tuple[int, int]:
    """Width and height as the image is shown.

    Raises:
        OSError: it can't be read, or is no image.
    """
    if source.raw is not None:
        return source.raw.width, source.raw.height
    if packages not in sys.path:
        sys.path.append(packages)
    pillow: Any = importlib.import_module("PIL.Image")  # the host's: a fake's worker is the host's Python
    with pillow.open(source.path) as image:
        lies = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        return (image.height, image.width) if lies else (image.width, image.height)


def _unreadable(source: ImageSource, error: OSError) -> ImagePrediction:
    why = f"read: {error.strerror}" if error.strerror else "decoded"
    return ImagePrediction(error=f"{source.path}: can't be {why}")
