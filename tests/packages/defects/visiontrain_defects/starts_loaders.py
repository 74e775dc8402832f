"""Starts children as data loaders do; not a defect, but where others have one."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import typing

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


def look(queue) -> None:
    import visiontrain.worker.serve  # must not start to serve

    print(f"child {os.getpid()}")
    queue.put([visiontrain.__file__, __file__, json.__file__, typing.__file__])


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        for method in ("fork", "spawn", "forkserver"):
            chosen = multiprocessing.get_context(method)
            queue = chosen.SimpleQueue()
            child = chosen.Process(target=look, args=(queue,))
            child.start()
            seen = queue.get()
            child.join()
            context.log(json.dumps([method, child.exitcode, *seen]))
        own = [sys.modules[name].__file__ for name in ("visiontrain", __name__, "json", "typing")]
        context.log(json.dumps(["worker", 0, *own]))
        return TrainResult("completed", 1.0)
