"""A trainer that keeps time and books as a real one does, and computes nothing. Standard library only."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from visiontrain.errors import DeviceError
from visiontrain.protocol.inference import (
    ClassifyPrediction,
    EvaluateResult,
    ImagePrediction,
    ImageSource,
    ObjectPrediction,
    PredictParams,
    PredictResult,
)
from visiontrain.protocol.messages import Cpu, Device, ModelInfo, TrainResult
from visiontrain.worker.context import EvaluateContext, RunContext
from visiontrain.worker.trainer import Description

_MODELS = ("convnext_tiny", "mobilenetv3_small_100", "resnet18", "resnet34", "resnet50", "vit_small_patch16_224")
_STEPS = 4  # batches an epoch, whatever the data
_SECONDS = 0.002  # a batch


class TinyTrainer:
    """Better with each epoch, as every manual's example is."""

    def describe(self) -> Description:
        cpu = Cpu(threads=2, capability="DEFAULT", features=("avx2",))
        return Description({"timm": "1.0.31", "torch": "2.15.0"}, (Device("cpu", "A processor"),), cpu)

    def models(self) -> Iterator[ModelInfo]:
        return (ModelInfo(name, ("classify",), ("a1_in1k",) if name.startswith("resnet") else ()) for name in _MODELS)

    def train(self, context: RunContext) -> TrainResult:
        params = context.params
        if params.device not in ("auto", "cpu"):
            raise DeviceError(f"there is no device {params.device!r} that this torch can use here")
        print(f"training {params.model} on {sum(context.dataset.splits.values())} images")  # noqa: T201 - into the run's log
        step = self._resume(context)
        metrics: dict[str, float] = {}
        while step < params.epochs * _STEPS:
            if context.stop_requested:
                return self._end("stopped", context, step, metrics)
            time.sleep(_SECONDS)
            step += 1
            epoch = math.ceil(step / _STEPS)
            loss = 1.8 / (1 + step / _STEPS)
            batch = (step - 1) % _STEPS + 1
            context.progress(
                "train", epoch=epoch, epochs=params.epochs, step=batch, steps=_STEPS, values={"train_loss": loss}
            )
            if batch == _STEPS:
                metrics = self._row(context, epoch, loss)
                context.metrics(metrics, step=step, epoch=epoch)
                best = self._write(context, "best.pt", step)
                context.checkpoint(best, kind="best", step=step, epoch=epoch)
                matrix = context.artifacts_dir / "confusion_matrix.json"
                matrix.write_text("{}", encoding="ascii")
                context.artifact(matrix, kind="confusion_matrix")
                self._save(context, step)
        return self._end("completed", context, step, metrics)

    def _row(self, context: RunContext, epoch: int, loss: float) -> dict[str, float]:
        return {"train_loss": loss, "learning_rate": 0.001, **self._measured(epoch, loss, context.dataset.classes)}

    def _measured(self, epoch: int, loss: float, classes: Iterable[str]) -> dict[str, float]:
        accuracy = 1 - 0.8 / (1 + epoch)
        names = ("accuracy", "accuracy_top5", "precision_macro", "recall_macro", "f1_macro", "f1_weighted")
        row = {"images_per_second": 800.0, "val_loss": loss * 1.1, **dict.fromkeys(names, accuracy)}
        for kind in ("precision", "recall", "f1"):
            row |= {f"{kind}/{name}": accuracy for name in classes}
        return row

    def _end(self, status: str, context: RunContext, step: int, metrics: dict[str, float]) -> TrainResult:
        if status == "stopped":
            self._save(context, step)
            return TrainResult("stopped", step / _STEPS, dict(metrics))
        return TrainResult("completed", step / _STEPS, dict(metrics))

    def _save(self, context: RunContext, step: int) -> None:
        last = self._write(context, "last.pt", step)
        context.checkpoint(last, kind="last", step=step, epoch=step / _STEPS)

    def _resume(self, context: RunContext) -> int:
        resume = context.params.resume
        if resume is None:
            return 0
        if not resume.checkpoints:
            context.resumed(step=0, epoch=0.0, checkpoint=None)
            return 0
        path = Path(resume.checkpoints[0])
        step = int(json.loads(path.read_text(encoding="ascii"))["step"])
        context.resumed(step=step, epoch=step / _STEPS, checkpoint=path)
        return step

    def _write(self, context: RunContext, name: str, step: int) -> Path:
        path = context.checkpoints_dir / name
        state = {"step": step, "classes": context.dataset.classes}
        path.write_text(json.dumps(state), encoding="ascii")
        return path

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        step = json.loads(Path(context.params.checkpoint).read_text(encoding="ascii"))["step"]
        context.progress("evaluate", step=1, steps=1)
        loss = 1.8 / (1 + step / _STEPS)
        return EvaluateResult("completed", {**self._measured(step // _STEPS, loss, context.dataset.classes)})

    def predict(self, params: PredictParams) -> PredictResult:
        classes = json.loads(Path(params.checkpoint).read_text(encoding="ascii"))["classes"]
        found = tuple(_look_at(source, classes) for source in params.images)
        return PredictResult(tuple(classes), multi_label=False, predictions=found)


class TinyFinder(TinyTrainer):
    """Finds two objects in every image."""

    def models(self) -> Iterator[ModelInfo]:
        return (ModelInfo(name, ("detect",)) for name in ("yolo11n", "yolo26n"))

    def _measured(self, epoch: int, loss: float, classes: Iterable[str]) -> dict[str, float]:
        precision = 1 - 0.8 / (1 + epoch)
        row = {"images_per_second": 80.0, "val_loss": loss * 1.1}
        return {**row, **dict.fromkeys(("map50_95", "map50", "precision", "recall"), precision)}

    def predict(self, params: PredictParams) -> PredictResult:
        classes = json.loads(Path(params.checkpoint).read_text(encoding="ascii"))["classes"]
        found = (
            ObjectPrediction(0, 0.9, (12.5, 20.0, 60.0, 71.5)),
            ObjectPrediction(1, 0.4, (64.0, 30.0, 100.0, 96.0)),
        )
        kept = tuple(each for each in found if each.score >= params.confidence)
        predictions = tuple(ImagePrediction(128, 128, objects=kept) for _ in params.images)
        return PredictResult(tuple(classes), multi_label=False, predictions=predictions)


def _look_at(source: ImageSource, classes: list[str]) -> ImagePrediction:
    """Sees what the folder is called; of pixels, the first class."""
    if source.raw is None and Path(source.path).read_bytes()[:2] not in (b"\xff\xd8", b"\x89P", b"II"):
        return ImagePrediction(error=f"{source.path}: can't be decoded: cannot identify image file")
    name = Path(source.path).parent.name
    seen = classes.index(name) if name in classes else 0
    scores = tuple(0.9 if number == seen else 0.1 / (len(classes) - 1) for number in range(len(classes)))
    width, height = (source.raw.width, source.raw.height) if source.raw else (96, 96)
    return ImagePrediction(width, height, classify=ClassifyPrediction(scores))
