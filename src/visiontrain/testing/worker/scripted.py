"""The fake framework's trainer: keeps time and books as a real one does, and computes nothing."""

from __future__ import annotations

import builtins
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from visiontrain import errors
from visiontrain.errors import DeviceError, SpecError, VisiontrainError
from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.messages import Device, ModelInfo, TrainResult
from visiontrain.protocol.tasks import OBJECT_TASKS, PRIMARY_METRIC, Task
from visiontrain.testing.worker.script import Crash, Failure, Hang, Script, read_script
from visiontrain.testing.worker.seeing import Knowledge, classify, find_objects, map_classes
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description

__all__ = ["ScriptedTrainer"]

#: Metrics of training that an evaluation does not measure.
_OF_TRAINING = ("train_loss", "learning_rate")


class ScriptedTrainer:
    """Does what its script says."""

    def describe(self) -> Description:
        """The script's versions, and a CPU."""
        return Description(dict(read_script().versions), (Device("cpu"),))

    def models(self) -> Iterator[ModelInfo]:
        """The script's models."""
        script = read_script()
        return (ModelInfo(name, (script.task,)) for name in script.models)

    def train(self, context: RunContext) -> TrainResult:
        """Batches without content, rows of the script's metrics, and small files for checkpoints."""
        script, params = read_script(), context.params
        if params.device not in ("auto", "cpu"):
            raise DeviceError(f"the fake framework has no device {params.device!r}")
        primary = PRIMARY_METRIC[Task(script.task)]
        step, best = _resume(context, script)
        for line in script.logs:
            context.log(line)
        if script.output:
            print(script.output)  # noqa: T201 - into the run's log
        while step < params.epochs * script.steps:
            epoch, batch = step // script.steps + 1, step % script.steps + 1
            if context.stop_requested:
                _save(context, "last", step, step / script.steps, best)
                return TrainResult("stopped", step / script.steps, dict(best))
            _meet_the_end(script, epoch, batch)
            time.sleep(script.step_seconds)
            step += 1
            context.progress("train", epoch=epoch, epochs=params.epochs, step=batch, steps=script.steps)
            if batch == script.steps:
                row = _row(script, epoch, primary)
                context.metrics(row, step=step, epoch=epoch)
                if row.get(primary, -math.inf) > best.get(primary, -math.inf):
                    best = row
                    _save(context, "best", step, epoch, best)
                _save(context, "last", step, epoch, best)
        return TrainResult("completed", params.epochs, dict(best))

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """The best epoch's metrics, whatever the data."""
        script, state = read_script(), _read(context.params.checkpoint)
        for step in range(1, script.steps + 1):
            if context.stop_requested:
                return EvaluateResult("stopped")
            time.sleep(script.step_seconds)
            context.progress("evaluate", step=step, steps=script.steps)
        measured = {name: value for name, value in state["best"].items() if name not in _OF_TRAINING}
        return EvaluateResult("completed", measured)

    def predict(self, params: PredictParams) -> PredictResult:
        """What `seeing` makes up: of a class that the image's folder is named after, where there is one."""
        state, script = _read(params.checkpoint), read_script()
        known = Knowledge(Task(params.task), tuple(state["classes"]), tuple(state["keypoints"]), script.packages)
        if known.task in OBJECT_TASKS:
            found = tuple(find_objects(source, known, params.confidence) for source in params.images)
        elif known.task is Task.semantic:
            found = tuple(map_classes(source, known) for source in params.images)
        else:
            found = tuple(classify(source, known) for source in params.images)
        edges = tuple((one, other) for one, other in state["edges"])
        return PredictResult(known.classes, state["multi_label"], found, known.keypoints, edges)

    def export(self, context: ExportContext) -> ExportResult:
        """A small file in place of a model."""
        path = context.artifacts_dir / f"model.{context.params.format}"
        path.write_bytes(Path(context.params.checkpoint).read_bytes())
        context.artifact(path, kind="export")
        return ExportResult("completed", {"export_difference": 0.0})


def _read(checkpoint: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(Path(checkpoint).read_text(encoding="utf-8"))
    return state


def _row(script: Script, epoch: int, primary: str) -> dict[str, float]:
    if script.rows:
        return dict(script.rows[min(epoch, len(script.rows)) - 1])
    return {"train_loss": 1 / epoch, "val_loss": 1.1 / epoch, "learning_rate": 0.001, primary: 1 - 0.8 / (1 + epoch)}


def _meet_the_end(script: Script, epoch: int, batch: int) -> None:
    def is_here(end: Failure | Crash | Hang | None) -> bool:
        return end is not None and (end.epoch, end.step) == (epoch, batch)

    if script.failure is not None and is_here(script.failure):
        raise _exception(script.failure)
    if script.crash is not None and is_here(script.crash):
        if script.crash.signal is None:
            os._exit(script.crash.exit_code)
        os.kill(os.getpid(), script.crash.signal)
    if is_here(script.hang):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            time.sleep(60)


def _exception(failure: Failure) -> BaseException:
    if failure.error in errors.__all__:
        cls: type[VisiontrainError] = getattr(errors, failure.error)
        if cls is SpecError:
            field, _, reason = failure.message.partition(": ")
            return SpecError(field, reason, instruction=failure.instruction)
        return cls(failure.message, instruction=failure.instruction)
    found = getattr(builtins, failure.error, None)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found(failure.message)
    made: type[Exception] = type(failure.error, (Exception,), {"__module__": "builtins"})
    return made(failure.message)


def _save(context: RunContext, kind: str, step: int, epoch: float, best: dict[str, float]) -> None:
    path = context.checkpoints_dir / f"{kind}.json"
    aside = path.with_suffix(".tmp")
    data = context.dataset
    skeleton = data.skeleton
    state = {
        "step": step,
        "best": best,
        "classes": data.classes,
        "multi_label": data.multi_label,
        "keypoints": skeleton.names if skeleton else (),
        "edges": skeleton.edges if skeleton else (),
    }
    aside.write_text(json.dumps(state), encoding="utf-8")
    aside.replace(path)
    context.checkpoint(path, kind="best" if kind == "best" else "last", step=step, epoch=epoch)


def _resume(context: RunContext, script: Script) -> tuple[int, dict[str, float]]:
    resume = context.params.resume
    if resume is None:
        return 0, {}
    if not resume.checkpoints:
        context.resumed(step=0, epoch=0.0, checkpoint=None)
        return 0, {}
    path = Path(resume.checkpoints[0])
    state = json.loads(path.read_text(encoding="utf-8"))
    step = int(state["step"])
    context.resumed(step=step, epoch=step / script.steps, checkpoint=path)
    return step, dict(state["best"])
