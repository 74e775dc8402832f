"""Trainers whose evaluations, predictions and exports are known beforehand."""

from __future__ import annotations

import math
import time
from pathlib import Path

from visiontrain.protocol.inference import (
    ClassifyPrediction,
    EvaluateResult,
    ExportResult,
    ImagePrediction,
    PredictParams,
    PredictResult,
)
from visiontrain.worker.context import EvaluateContext, ExportContext
from visiontrain_defects.base import Healthy


class All(Healthy):
    """No defect."""

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        self.report(context)
        return EvaluateResult("completed", {"x": math.nan, "y": 1.0})

    def export(self, context: ExportContext) -> ExportResult:
        self.report(context)
        return ExportResult("completed", {"x": math.nan, "y": 1.0})

    def predict(self, params: PredictParams) -> PredictResult:
        seen = ImagePrediction(1, 1, classify=ClassifyPrediction((1.0,)))
        return PredictResult(("a",), multi_label=False, predictions=(seen,) * len(params.images))

    def report(self, context: EvaluateContext | ExportContext) -> None:
        context.progress("evaluate", step=1, steps=1)
        path: Path = context.artifacts_dir / "out.txt"
        path.touch()
        context.artifact(path, kind="export")


class Waits(Healthy):
    """Until it is stopped."""

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        self.wait(context)
        return EvaluateResult("stopped")

    def export(self, context: ExportContext) -> ExportResult:
        self.wait(context)
        return ExportResult("stopped")

    def wait(self, context: EvaluateContext | ExportContext) -> None:
        context.progress("evaluate", step=0, steps=1)
        while not context.stop_requested:
            time.sleep(0.01)

    def predict(self, params: PredictParams) -> PredictResult:
        print("predicting", flush=True)
        time.sleep(600)
        raise AssertionError(params)
