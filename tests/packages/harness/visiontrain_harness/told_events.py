"""Events as a worker and a supervisor would tell them, a second apart."""

from __future__ import annotations

import itertools

from visiontrain.protocol.events import (
    CheckpointEvent,
    EstimateEvent,
    LogEvent,
    MetricsEvent,
    ProgressEvent,
    ResumedEvent,
    StatusEvent,
    WorkerEvent,
)
from visiontrain.protocol.messages import InitializeResult


class Told:
    """Makes events; each is `step` seconds of monotonic time after the one before."""

    def __init__(self, step: float = 1.0) -> None:
        self._step = step
        self._seq = itertools.count(1)
        self.now = 0.0

    def _make(self, cls, **fields):
        self.now += self._step
        return cls(run_id="r", seq=next(self._seq), time=0.0, monotonic=self.now, **fields)

    def status(self, status="running", **fields):
        return self._make(StatusEvent, status=status, **fields)

    def worker(self):
        return self._make(WorkerEvent, worker=InitializeResult(1, "a:B", {"torch": "2.0", "python": "3.12"}))

    def progress(self, phase, epoch, step, steps=10, epochs=4, **values):
        return self._make(ProgressEvent, phase=phase, epoch=epoch, epochs=epochs, step=step, steps=steps, values=values)

    def metrics(self, epoch, scope="epoch", **values):
        return self._make(MetricsEvent, epoch=epoch, step=epoch * 10, scope=scope, values=values)

    def checkpoint(self, kind, epoch=1.0):
        return self._make(CheckpointEvent, path=f"checkpoints/{kind}.pt", kind=kind, epoch=epoch)

    def estimate(self, seconds, **fields):
        return self._make(EstimateEvent, seconds=seconds, **fields)

    def resumed(self, epoch, **fields):
        return self._make(ResumedEvent, epoch=epoch, **fields)

    def log(self, message, level="info"):
        return self._make(LogEvent, message=message, level=level)
