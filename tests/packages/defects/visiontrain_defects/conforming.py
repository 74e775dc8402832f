"""A trainer that does all that is asked of one; the nonconforming ones differ from it. Standard library only."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable
from pathlib import Path

from visiontrain.errors import DeviceError, WeightsError
from visiontrain.protocol.inference import (
    ClassifyPrediction,
    EvaluateResult,
    ExportResult,
    ImagePrediction,
    ImageSource,
    PredictParams,
    PredictResult,
)
from visiontrain.protocol.messages import Device, ModelInfo, TrainResult
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description

STEPS = 5


class Walks:
    """Offers training alone. A random walk: what it has come to depends on every step, and on nothing else."""

    def describe(self) -> Description:
        return Description({"walk": "1.0"}, (Device("cpu"),))

    def models(self) -> Iterable[ModelInfo]:
        return [ModelInfo("walk_small", ("classify",))]

    def train(self, context: RunContext) -> TrainResult:
        self.check(context)
        for image in context.dataset.images("train"):
            Path(image.path).read_bytes()
        self.prepare(context)
        state = self.restore(context) or {
            "step": 0,
            "value": 0.0,
            "best": -1.0,
            "best_epoch": 0,
            "classes": context.dataset.classes,
            "truth": self.truth(context),
        }
        while state["step"] < context.params.epochs * STEPS:
            done = state["step"] / STEPS
            if context.stop_requested and self.heeds_stop():
                self.stop(context, state)
                return TrainResult("stopped", done)
            epoch, batch = state["step"] // STEPS + 1, state["step"] % STEPS + 1
            state["value"] += self.draw(context.params.seed, state["step"])
            state["step"] += 1
            self.progress(context, epoch, batch)
            if batch == STEPS:
                self.end_epoch(context, state, epoch)
        return TrainResult("completed", context.params.epochs, self.result(state))

    def check(self, context: RunContext) -> None:
        if context.params.device not in ("auto", "cpu"):
            raise DeviceError(f"there is no {context.params.device}")
        if context.params.weights.source != "scratch":
            raise WeightsError("a walk has no weights")

    def prepare(self, context: RunContext) -> None:
        """Where nonconforming ones do what they should not."""

    def truth(self, context: RunContext) -> list[tuple[str, int]]:
        return [(image.path, image.labels[0]) for image in context.dataset.images("val")]

    def heeds_stop(self) -> bool:
        return True

    def draw(self, seed: int, step: int) -> float:
        return random.Random(f"{seed}/{step}").random()

    def progress(self, context: RunContext, epoch: int, batch: int) -> None:
        context.progress("train", epoch=epoch, epochs=context.params.epochs, step=batch, steps=STEPS)

    def row(self, state: dict) -> dict[str, float]:
        return {"train_loss": state["value"], "accuracy": state["value"] % 1}

    def result(self, state: dict) -> dict[str, float]:
        return {"accuracy": state["best"]}

    def end_epoch(self, context: RunContext, state: dict, epoch: int) -> None:
        row = self.row(state)
        context.metrics(row, step=state["step"], epoch=epoch)
        accuracy = state["value"] % 1
        if accuracy > state["best"]:
            state |= {"best": accuracy, "best_epoch": epoch}
            self.save(context, state, "best")
        self.save(context, state, "last")

    def stop(self, context: RunContext, state: dict) -> None:
        self.save(context, state, "last")

    def save(self, context: RunContext, state: dict, kind: str, **how: object) -> None:
        path = context.checkpoints_dir / f"{kind}.json"
        aside = path.with_suffix(".tmp")
        aside.write_text(json.dumps(state), encoding="utf-8")
        aside.replace(path)
        context.checkpoint(path, kind=kind, step=state["step"], epoch=state["step"] / STEPS, **how)

    def restore(self, context: RunContext) -> dict | None:
        resume = context.params.resume
        if resume is None:
            return None
        if not resume.checkpoints:
            context.resumed(step=0, epoch=0.0, checkpoint=None)
            return None
        path = Path(resume.checkpoints[0])
        state = json.loads(path.read_text(encoding="utf-8"))
        context.resumed(step=state["step"], epoch=state["step"] / STEPS, checkpoint=path)
        return state


class Conforming(Walks):
    """Offers all there is. As many images are predicted rightly as the walk's accuracy says."""

    def __init__(self) -> None:
        self._kept: tuple[str, dict] | None = None

    def load(self, checkpoint: str) -> dict:
        if self._kept is None or self._kept[0] != checkpoint:
            self._kept = checkpoint, json.loads(Path(checkpoint).read_text(encoding="utf-8"))
        return self._kept[1]

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        state = self.load(context.params.checkpoint)
        if context.stop_requested and self.heeds_stop():
            return EvaluateResult("stopped")
        return EvaluateResult("completed", {"accuracy": state["value"] % 1})

    def predict(self, params: PredictParams) -> PredictResult:
        state = self.load(params.checkpoint)
        found = tuple(self.look_at(source, state) for source in params.images)
        return PredictResult(tuple(state["classes"]), multi_label=False, predictions=found)

    def look_at(self, source: ImageSource, state: dict) -> ImagePrediction:
        content = Path(source.path).read_bytes()
        place = next((number for number, (path, _) in enumerate(state["truth"]) if path == source.path), None)
        if place is None:
            return ImagePrediction(error=f"{source.path}: is no image")
        label, classes = state["truth"][place][1], len(state["classes"])
        if place >= round(state["value"] % 1 * len(state["truth"])):
            label = (label + 1) % classes
        scores = tuple(0.5 if number == label else 0.5 / (classes - 1) for number in range(classes))
        return ImagePrediction(*_size(content), classify=ClassifyPrediction(scores))

    def export(self, context: ExportContext) -> ExportResult:
        path = context.artifacts_dir / "walk.json"
        path.write_bytes(Path(context.params.checkpoint).read_bytes())
        context.artifact(path, kind="export")
        return ExportResult("completed", {"export_difference": 0.0})


def _size(jpeg: bytes) -> tuple[int, int]:
    """Width and height from a JPEG file's frame header."""
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    height, width = struct.unpack(">HH", jpeg[at + 5 : at + 9])
    return width, height
