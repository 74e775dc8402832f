"""A trainer whose answers about objects are wrong, each in a way that the image's file is named after."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from visiontrain.protocol.inference import (
    ClassifyPrediction,
    ImagePrediction,
    ObjectPrediction,
    PredictParams,
    PredictResult,
)
from visiontrain.testing.worker.scripted import ScriptedTrainer

Way = Callable[[PredictResult], PredictResult]


def of_objects(**changes: object) -> Way:
    """Other fields for every object."""

    def spoil(answer: PredictResult) -> PredictResult:
        return all_images(answer, lambda seen: tuple(replace(each, **changes) for each in seen))

    return spoil


def all_images(
    answer: PredictResult, change: Callable[[tuple[ObjectPrediction, ...]], tuple[ObjectPrediction, ...]]
) -> PredictResult:
    return replace(answer, predictions=tuple(replace(p, objects=change(p.objects)) for p in answer.predictions))


def instead(prediction: ImagePrediction) -> Way:
    return lambda answer: replace(answer, predictions=(prediction,) * len(answer.predictions))


def small_mask(answer: PredictResult) -> PredictResult:
    def shrink(seen: tuple[ObjectPrediction, ...]) -> tuple[ObjectPrediction, ...]:
        return tuple(replace(each, mask=replace(each.mask, width=each.mask.width - 1)) for each in seen)

    return all_images(answer, shrink)


def torn_mask(answer: PredictResult) -> PredictResult:
    def tear(seen: tuple[ObjectPrediction, ...]) -> tuple[ObjectPrediction, ...]:
        return tuple(replace(each, mask=replace(each.mask, data=each.mask.data[:-1])) for each in seen)

    return all_images(answer, tear)


def few_points(answer: PredictResult) -> PredictResult:
    return all_images(answer, lambda seen: tuple(replace(each, keypoints=each.keypoints[1:]) for each in seen))


WAYS: dict[str, Way] = {
    "label": of_objects(label=99),
    "score": of_objects(score=1.25),
    "not-finite": of_objects(box=(0.0, 0.0, math.nan, 1.0)),
    "outside": of_objects(box=(0.0, 0.0, 1e6, 1.0)),
    "turned-round": of_objects(box=(3.0, 0.0, 1.0, 1.0)),
    "three-sides": of_objects(box=(0.0, 0.0, 1.0)),
    "a-turned-box": of_objects(quad=(0.0,) * 8),
    "small-mask": small_mask,
    "torn-mask": torn_mask,
    "few-points": few_points,
    "worst-first": lambda answer: all_images(answer, lambda seen: seen[::-1]),
    "probabilities": instead(ImagePrediction(9, 9, classify=ClassifyPrediction((1.0, 0.0)))),
    "objects": instead(ImagePrediction(9, 9, objects=())),
    "neither": instead(ImagePrediction(9, 9)),
    "too-few": lambda answer: replace(answer, predictions=answer.predictions[1:]),
}


class FindsBadly(ScriptedTrainer):
    """Where an image's file has the name of a way to be wrong."""

    def predict(self, params: PredictParams) -> PredictResult:
        answer = super().predict(params)
        names = {Path(source.path).stem for source in params.images}
        for way in sorted(names & WAYS.keys()):
            answer = WAYS[way](answer)
        return answer
