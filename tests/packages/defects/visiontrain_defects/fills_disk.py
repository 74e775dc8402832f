"""Trainers for disks that are full, or gone while they train."""

from __future__ import annotations

import time
from pathlib import Path

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class Resumable(Healthy):
    """An epoch has one step of `pause` seconds; a checkpoint of `size` bytes ends it, printed and logged about."""

    def train(self, context: RunContext) -> TrainResult:
        options = context.params.options
        epochs = options.get("epochs", 5)
        done = 0
        resume = context.params.resume
        if resume is not None and resume.checkpoints:
            done = int(Path(resume.checkpoints[0]).read_text(encoding="ascii").split()[0])
        if resume is not None:
            context.resumed(step=done, epoch=float(done), checkpoint=None)
        while done < epochs:
            if context.stop_requested:
                self._save(context, done)
                return TrainResult("stopped", float(done))
            time.sleep(options.get("pause", 0.0))
            done += 1
            print("x" * options.get("prints", 0), flush=True)
            context.log("y" * options.get("logs", 0))
            context.metrics({"accuracy": done / epochs}, step=done, epoch=done)
            self._save(context, done)
        return TrainResult("completed", float(done), {"accuracy": 1.0})

    def _save(self, context: RunContext, done: int) -> None:
        path = context.checkpoints_dir / "last.txt"
        aside = path.with_suffix(".tmp")
        size = context.params.options.get("size", 0)
        aside.write_text(f"{done}\n{'z' * size}", encoding="ascii")
        aside.replace(path)
        context.checkpoint(path, kind="last", step=done, epoch=float(done))
