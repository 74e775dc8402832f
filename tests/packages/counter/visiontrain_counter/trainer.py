"""The worker's half: counts steps, and can go on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from visiontrain.errors import ExportError
from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.messages import Cpu, Device, ModelInfo, TrainResult
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description
from visiontrain_counter.looking import look_at

DIFFERENCE = 1e-6


class CountingTrainer:
    """An epoch is `steps` steps of `pause` seconds; the accuracy grows with each."""

    def describe(self) -> Description:
        return Description({"counter": "1.0"}, (Device("cpu"),), Cpu(1, "none"))

    def models(self) -> Iterable[ModelInfo]:
        return [ModelInfo("count_small", ("classify",), ("v1",)), ModelInfo("count_large", ("classify",))]

    def train(self, context: RunContext) -> TrainResult:
        params = context.params
        steps = params.options["steps"]
        done = 0
        if params.resume is not None and params.resume.checkpoints:
            done = json.loads(Path(params.resume.checkpoints[0]).read_text(encoding="utf-8"))["step"]
            context.resumed(step=done, epoch=done / steps, checkpoint=context.run_dir / "checkpoints/last.json")
        elif params.resume is not None:
            context.resumed(step=0, epoch=0.0, checkpoint=None)
        context.log(f"{sum(context.dataset.splits.values())} images of {len(context.dataset.classes)} classes")
        while done < params.epochs * steps:
            if context.stop_requested:
                self._save(context, done, steps)
                return TrainResult("stopped", done / steps)
            time.sleep(params.options["pause"])
            done += 1
            if done == params.options["fail_at"]:
                raise ValueError(f"step {done} failed")
            epoch = (done - 1) // steps + 1
            context.progress("train", epoch=epoch, epochs=params.epochs, step=(done - 1) % steps + 1, steps=steps)
            if done % steps == 0:
                context.metrics({"train_loss": 1 / done, "accuracy": 1 - 1 / done}, step=done, epoch=epoch)
                self._save(context, done, steps)
        return TrainResult("completed", done / steps, {"accuracy": 1 - 1 / done})

    def _save(self, context: RunContext, done: int, steps: int) -> None:
        path = context.checkpoints_dir / "last.json"
        state = {"step": done, "classes": context.dataset.classes}
        path.write_text(json.dumps(state), encoding="utf-8")
        context.checkpoint(path, kind="last", step=done, epoch=done / steps)

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        params = context.params
        state = json.loads(Path(params.checkpoint).read_text(encoding="utf-8"))
        paths = [image.path for split in params.splits for image in context.dataset.images(split)]
        for number in range(1, len(paths) + 1):
            if context.stop_requested:
                return EvaluateResult("stopped")
            time.sleep(params.options["pause"])
            context.progress("evaluate", step=number, steps=len(paths))
        return EvaluateResult("completed", {"accuracy": 1 - 1 / state["step"], "val_loss": float("nan")})

    def predict(self, params: PredictParams) -> PredictResult:
        classes = json.loads(Path(params.checkpoint).read_text(encoding="utf-8"))["classes"]
        found = tuple(look_at(source, len(classes)) for source in params.images)
        return PredictResult(tuple(classes), multi_label=False, predictions=tuple(each for each in found if each))

    def export(self, context: ExportContext) -> ExportResult:
        params = context.params
        context.progress("export", step=1, steps=2)
        model = context.artifacts_dir / "model.txt"
        model.write_bytes(Path(params.checkpoint).read_bytes())
        beside = context.artifacts_dir / "model.json"
        beside.write_text(json.dumps({"classes": context.dataset.classes}), encoding="utf-8")
        if params.tolerance < DIFFERENCE:
            raise ExportError(
                f"it differs by {DIFFERENCE:g}, more than {params.tolerance:g}", instruction="Allow more."
            )
        for path in (model, beside):
            context.artifact(path, kind="export")
        return ExportResult("completed", {"export_difference": DIFFERENCE})
