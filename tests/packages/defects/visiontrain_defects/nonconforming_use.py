"""Trainers that break one rule each of evaluation, prediction and export; the conformance kit must find them out."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from visiontrain.protocol.inference import (
    ClassifyPrediction,
    EvaluateResult,
    ExportResult,
    ImagePrediction,
    ImageSource,
    PredictParams,
    PredictResult,
)
from visiontrain.worker.context import EvaluateContext, ExportContext
from visiontrain_defects.conforming import Conforming


class EvaluatesTheLastEpoch(Conforming):
    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        return EvaluateResult("completed", {"accuracy": super().evaluate(context).metrics["accuracy"] / 2})


class EvaluatesToTheEnd(Conforming):
    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        context._stop.clear()
        return super().evaluate(context)


class MixesImagesUp(Conforming):
    def predict(self, params: PredictParams) -> PredictResult:
        found = super().predict(params)
        return replace(found, predictions=found.predictions[::-1])


class GivesUpOnABadImage(Conforming):
    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        found = super().look_at(source, state)
        if found.error:
            raise ValueError(found.error)
        return found


class PredictsWithoutAnError(Conforming):
    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        found = super().look_at(source, state)
        return replace(found, error=None, classify=ClassifyPrediction((1.0, *[0.0] * (len(state["classes"]) - 1))))


class GivesScores(Conforming):
    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        found = super().look_at(source, state)
        if found.classify is None:
            return found
        return replace(found, classify=ClassifyPrediction(tuple(2 * each for each in found.classify.probabilities)))


class SeesSomethingElse(Conforming):
    """Its preprocessing is another one than in training: all is wrong."""

    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        return super().look_at(source, {**state, "value": 0.0 if state["value"] % 1 > 0.5 else 0.99})


class LoadsAnew(Conforming):
    def load(self, checkpoint: str) -> dict:
        self._kept = None
        return super().load(checkpoint)


class PredictsAtRandom(Conforming):
    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        found = super().look_at(source, state)
        return replace(found, width=found.width + random.randrange(1 << 30))


class WritesWhatItSees(Conforming):
    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        Path(source.path).with_suffix(".seen").touch()
        return super().look_at(source, state)


class ExportsNothing(Conforming):
    def export(self, context: ExportContext) -> ExportResult:
        return ExportResult("completed", {"export_difference": 0.0})


class ExportsUnchecked(Conforming):
    def export(self, context: ExportContext) -> ExportResult:
        return replace(super().export(context), metrics={})


class UsesBadly(EvaluatesTheLastEpoch, EvaluatesToTheEnd, LoadsAnew, WritesWhatItSees, ExportsNothing):
    """Five at once, each found by a check of its own."""


class PredictsBadly(MixesImagesUp, PredictsAtRandom, ExportsUnchecked):
    """Three at once."""
