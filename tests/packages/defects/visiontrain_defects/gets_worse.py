"""Has its best epoch behind it when it dies."""

from __future__ import annotations

import os

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        context.metrics({"accuracy": 0.9}, step=1, epoch=1)
        best = context.checkpoints_dir / "best.txt"
        best.write_text("weights", encoding="utf-8")
        context.checkpoint(best, kind="best", step=1, epoch=1)
        context.metrics({"accuracy": 0.1}, step=2, epoch=2)
        os._exit(3)
