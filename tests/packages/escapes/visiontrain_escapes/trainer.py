"""The worker's half."""

from __future__ import annotations

from collections.abc import Iterable

from visiontrain.protocol.messages import Device, ModelInfo, TrainResult
from visiontrain.worker.context import RunContext
from visiontrain.worker.trainer import Description
from visiontrain_escapes.texts import HOSTILE


class EscapingTrainer:
    def describe(self) -> Description:
        return Description({f"package {HOSTILE}": f"version {HOSTILE}"}, (Device("cpu", f"device {HOSTILE}"),))

    def models(self) -> Iterable[ModelInfo]:
        return [ModelInfo("escape_small", ("classify",)), ModelInfo(f"escape_{HOSTILE}", ("classify",), (HOSTILE,))]

    def train(self, context: RunContext) -> TrainResult:
        for level in ("info", "warning", "error"):
            context.log(f"{level} {HOSTILE}", level=level)
        context.progress(f"phase {HOSTILE}", epoch=1, epochs=1, step=1, steps=2, message=f"progress {HOSTILE}")
        values = {"accuracy": 0.5, f"metric {HOSTILE}": 0.5, f"accuracy/{context.dataset.classes[0]}": 0.5}
        context.metrics(values, step=1, epoch=1)
        for kind in ("last", "best"):
            path = context.checkpoints_dir / f"{kind} \x1b[2J.txt"
            path.write_text("state", encoding="utf-8")
            context.checkpoint(path, kind=kind, step=1, epoch=1.0, exact=False, reason=f"reason {HOSTILE}")
        print(f"printed {HOSTILE}")
        raise ValueError(f"failure {HOSTILE}")
