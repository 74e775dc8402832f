"""Reports from several threads at once."""

from __future__ import annotations

import threading

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        threads, each = context.params.options["threads"], context.params.options["each"]

        def report(number: int) -> None:
            for step in range(each):
                context.metrics({f"thread{number}": step}, step=step, epoch=1, scope="step")

        started = [threading.Thread(target=report, args=(number,)) for number in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        return TrainResult("completed", 1.0)
