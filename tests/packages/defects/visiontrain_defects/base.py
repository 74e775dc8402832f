"""What every trainer here has beside its defect."""

from __future__ import annotations

import time
from collections.abc import Iterable

from visiontrain.protocol.messages import ModelInfo, TrainResult
from visiontrain.worker.context import RunContext
from visiontrain.worker.trainer import Description


class Healthy:
    """Reports nothing and completes."""

    def describe(self) -> Description:
        return Description({"defects": "1.0"})

    def models(self) -> Iterable[ModelInfo]:
        return [ModelInfo("defect", ("classify",))]

    def train(self, context: RunContext) -> TrainResult:
        return TrainResult("completed", 1.0)


class Steady(Healthy):
    """No defect: `steps` steps of `pause` seconds; stops when it is asked to, leaving a checkpoint."""

    def train(self, context: RunContext) -> TrainResult:
        steps = context.params.options.get("steps", 3)
        for step in range(1, steps + 1):
            if context.stop_requested:
                path = context.checkpoints_dir / "last.txt"
                path.write_text(str(step), encoding="utf-8")
                context.checkpoint(path, kind="last", step=step, epoch=step / steps)
                return TrainResult("stopped", step / steps)
            time.sleep(context.params.options.get("pause", 0.0))
            context.progress("train", epoch=1, epochs=1, step=step, steps=steps)
            context.metrics({"train_loss": 1 / step}, step=step, epoch=1, scope="step")
        context.metrics({"accuracy": 0.5, "val_loss": float("nan")}, step=steps, epoch=1)
        return TrainResult("completed", 1.0, {"accuracy": 0.5})
