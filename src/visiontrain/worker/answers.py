"""Answers to ``predict`` as a line can carry them: of numbers that JSON has words for, and not too long."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from visiontrain.errors import PluginError
from visiontrain.protocol.codec import MAX_LINE
from visiontrain.protocol.inference import ImagePrediction, ImageSource, ObjectPrediction, PredictResult

__all__ = ["LONGEST", "fitted"]

#: Bytes of objects and class maps in one answer, at the most.
LONGEST = MAX_LINE // 2

# Bytes in JSON, at the most: of a number with its comma, and of the names of all fields.
_NUMBER, _OBJECT, _KEYPOINT, _MASK = 25, 85, 24, 50


def fitted(answer: PredictResult, images: Sequence[ImageSource]) -> PredictResult:
    """The answer, or its beginning where it holds more than a line: `left_out` says how many images are not in.

    An image whose own objects, or whose class map, are too much for a line gets an `error` in their place.

    Args:
        answer: The trainer's.
        images: What it was asked about.

    Raises:
        PluginError: a number is not finite.
    """
    kept: list[ImagePrediction] = []
    room = LONGEST
    for source, found in zip(images, answer.predictions, strict=False):  # the host says where there are too few
        if not all(map(math.isfinite, _numbers(found))):
            raise PluginError(
                f"the trainer's prediction for {source.path} has a number that is not finite",
                instruction="Its weights may be damaged: try --checkpoint last. Else tell the plugin's author.",
            )
        size = sum(map(_size, found.objects or ())) + (len(found.class_map.png) if found.class_map else 0)
        if size > LONGEST:
            kept.append(ImagePrediction(error=f"{source.path}: {_too_much(found)}"))
            continue
        if size > room:
            break
        room -= size
        kept.append(found)
    else:
        kept += answer.predictions[len(kept) :]
    return replace(answer, predictions=tuple(kept), left_out=len(answer.predictions) - len(kept))


def _too_much(found: ImagePrediction) -> str:
    if found.class_map is not None:
        return f"its class map of {found.width} x {found.height} pixels is more than an answer holds: make it smaller"
    return f"{len(found.objects or ()):,} objects are more than an answer holds: ask for a higher confidence"


def _numbers(found: ImagePrediction) -> Iterator[float]:
    if found.classify is not None:
        yield from found.classify.probabilities
    for each in found.objects or ():
        yield each.score
        yield from each.box
        yield from each.quad or ()
        for point in each.keypoints:
            yield from (point.x, point.y, point.score)


def _size(found: ObjectPrediction) -> int:
    """Bytes that it takes in JSON, at the most."""
    size = _OBJECT + _NUMBER * (2 + len(found.box) + len(found.quad or ()))
    size += (_KEYPOINT + 3 * _NUMBER) * len(found.keypoints)
    if found.mask is not None:
        size += _MASK + len(found.mask.data) + found.mask.data.count("\\")  # which JSON writes twice
    return size
