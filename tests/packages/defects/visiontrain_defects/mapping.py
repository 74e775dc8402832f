"""Trainers that say what class each pixel is of: one does all that is asked, the others break one rule each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from visiontrain.protocol.inference import EvaluateResult, ImagePrediction, ImageSource, PredictParams, PredictResult
from visiontrain.protocol.messages import ModelInfo
from visiontrain.worker.class_maps import class_map
from visiontrain.worker.context import EvaluateContext
from visiontrain_defects.conforming import Conforming
from visiontrain_defects.seeing import Sees


class Maps(Sees):
    """Three areas in every image: its upper quarter, and two halves below."""

    def models(self) -> Iterable[ModelInfo]:
        return [ModelInfo("walk_small", ("semantic",))]

    def row(self, state: dict) -> dict[str, float]:
        return {"train_loss": state["value"], "miou": state["value"] % 1}

    def result(self, state: dict) -> dict[str, float]:
        return {"miou": state["best"]}

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        found = Conforming.evaluate(self, context)
        return replace(found, metrics={"miou": found.metrics["accuracy"]}) if found.metrics else found

    def find(self, width: int, height: int) -> ImagePrediction:
        return self.painted(width, height, (1, 2, 0))

    def painted(self, width: int, height: int, classes: tuple[int, int, int]) -> ImagePrediction:
        above, left, right = (bytes([number]) for number in classes)
        quarter, half = height // 4, width // 2
        rows = above * width * quarter + (left * half + right * (width - half)) * (height - quarter)
        return ImagePrediction(width, height, class_map=class_map(width, height, rows))


class MapsImagesAsStored(Maps):
    def shown(self, size: tuple[int, int], content: bytes) -> tuple[int, int]:
        return size


class MapsWhatIsBeside(Maps):
    def predict(self, params: PredictParams) -> PredictResult:
        found = super().predict(params)
        if len(params.images) == 1:
            return found
        several = (
            each if each.error else self.painted(each.width, each.height, (0, 2, 1)) for each in found.predictions
        )
        return replace(found, predictions=tuple(several))


class MapsOtherColours(Maps):
    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        found = super().look_at(source, state)
        return found if source.raw is None else self.painted(found.width, found.height, (2, 1, 0))


class MapsOtherSizes(Maps):
    """As large as its model computes."""

    def find(self, width: int, height: int) -> ImagePrediction:
        return replace(super().find(width // 2, height // 2), width=width, height=height)


class SaysMoreThanItMaps(Maps):
    def row(self, state: dict) -> dict[str, float]:
        return {**super().row(state), "pixel_accuracy": 0.99}

    def result(self, state: dict) -> dict[str, float]:
        return {**super().result(state), "pixel_accuracy": 0.99}

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        found = super().evaluate(context)
        return replace(found, metrics={**found.metrics, "pixel_accuracy": 0.99}) if found.metrics else found
