"""Does not look at the flag; some ignore more than that."""

from __future__ import annotations

import signal
import time

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class IgnoresFlag(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        context.log("busy")
        while True:
            time.sleep(0.01)


class IgnoresInterrupt(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        context.log("busy")
        while True:
            time.sleep(0.01)


class Lingers(Healthy):
    """Completes, and leaves a thread that keeps its process from ending."""

    def models(self):
        self._linger()
        return super().models()

    def train(self, context: RunContext) -> TrainResult:
        self._linger()
        return TrainResult("completed", 1.0)

    def _linger(self) -> None:
        import threading

        threading.Thread(target=time.sleep, args=(600,)).start()
