"""Trainers that find objects: one does all that is asked, the others break one rule each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from visiontrain.protocol.inference import (
    EvaluateResult,
    ImagePrediction,
    ImageSource,
    ObjectPrediction,
    PredictParams,
    PredictResult,
)
from visiontrain.protocol.messages import ModelInfo
from visiontrain.worker.context import EvaluateContext, RunContext
from visiontrain_defects.conforming import Conforming, _size

#: What stands before the value of an EXIF orientation, in either order of bytes.
_ORIENTATION = (b"\x12\x01\x03\x00\x01\x00\x00\x00", b"\x01\x12\x00\x03\x00\x00\x00\x01\x00")


class Sees(Conforming):
    """Two objects in every image: its left half, and its upper quarter."""

    def models(self) -> Iterable[ModelInfo]:
        return [ModelInfo("walk_small", ("detect",))]

    def truth(self, context: RunContext) -> list[tuple[str, int]]:
        return []

    def row(self, state: dict) -> dict[str, float]:
        return {"train_loss": state["value"], "map50_95": state["value"] % 1}

    def result(self, state: dict) -> dict[str, float]:
        return {"map50_95": state["best"]}

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        found = super().evaluate(context)
        return replace(found, metrics={"map50_95": found.metrics["accuracy"]}) if found.metrics else found

    def predict(self, params: PredictParams) -> PredictResult:
        found = super().predict(params)
        kept = tuple(self.confident(each, params.confidence) for each in found.predictions)
        return replace(found, predictions=kept)

    def confident(self, found: ImagePrediction, confidence: float) -> ImagePrediction:
        if found.objects is None:
            return found
        return replace(found, objects=tuple(each for each in found.objects if each.score >= confidence))

    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        if source.raw is not None:
            return self.find(source.raw.width, source.raw.height)
        content = Path(source.path).read_bytes()
        if not content.startswith(b"\xff\xd8"):
            return ImagePrediction(error=f"{source.path}: is no image")
        return self.find(*self.shown(_size(content), content))

    def shown(self, size: tuple[int, int], content: bytes) -> tuple[int, int]:
        for mark in _ORIENTATION:
            at = content.find(mark)
            if at >= 0 and content[at + len(mark)] >= 5:
                return size[1], size[0]
        return size

    def find(self, width: int, height: int) -> ImagePrediction:
        left_half = ObjectPrediction(0, 0.9, (0.0, 0.0, width / 2, float(height)))
        upper_quarter = ObjectPrediction(1, 0.3, (0.0, 0.0, float(width), height / 4))
        return ImagePrediction(width, height, objects=(left_half, upper_quarter))


class SeesImagesAsStored(Sees):
    def shown(self, size: tuple[int, int], content: bytes) -> tuple[int, int]:
        return size


class SeesWhatIsBeside(Sees):
    def predict(self, params: PredictParams) -> PredictResult:
        found = super().predict(params)
        several = len(params.images) > 1
        return replace(found, predictions=tuple(self.moved(each, several) for each in found.predictions))

    def moved(self, found: ImagePrediction, several: bool) -> ImagePrediction:
        if not several or not found.objects:
            return found
        first = replace(found.objects[0], box=(found.width / 2, 0.0, float(found.width), float(found.height)))
        return replace(found, objects=(first, *found.objects[1:]))


class SeesOtherColours(Sees):
    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        found = super().look_at(source, state)
        if source.raw is None or found.objects is None:
            return found
        return replace(found, objects=tuple(replace(each, label=1 - each.label) for each in found.objects))


class SeesWhateverIsThere(Sees):
    def confident(self, found: ImagePrediction, confidence: float) -> ImagePrediction:
        return found


class SeesTooLittle(Sees):
    """Any confidence is too high."""

    def confident(self, found: ImagePrediction, confidence: float) -> ImagePrediction:
        return replace(found, objects=()) if confidence > 0 and found.objects else found


class SeesNothing(Sees):
    def find(self, width: int, height: int) -> ImagePrediction:
        return ImagePrediction(width, height, objects=())


class SeesBeyondTheImage(Sees):
    def find(self, width: int, height: int) -> ImagePrediction:
        return ImagePrediction(width, height, objects=(ObjectPrediction(0, 0.9, (0.0, 0.0, width + 1.0, 1.0)),))
