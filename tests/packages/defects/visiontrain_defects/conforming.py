"""A trainer that does all that is asked of one; the nonconforming ones differ from it. Standard library only."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

from visiontrain.errors import DeviceError, WeightsError
from visiontrain.protocol.messages import Device, ModelInfo, TrainResult
from visiontrain.worker.context import RunContext
from visiontrain.worker.trainer import Description

STEPS = 5


class Conforming:
    """A random walk: what it has come to depends on every step, and on nothing else."""

    def describe(self) -> Description:
        return Description({"walk": "1.0"}, (Device("cpu"),))

    def models(self) -> Iterable[ModelInfo]:
        return [ModelInfo("walk_small", ("classify",))]

    def train(self, context: RunContext) -> TrainResult:
        self.check(context)
        for image in context.dataset.images("train"):
            Path(image.path).read_bytes()
        self.prepare(context)
        state = self.restore(context) or {"step": 0, "value": 0.0, "best": -1.0, "best_epoch": 0}
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
