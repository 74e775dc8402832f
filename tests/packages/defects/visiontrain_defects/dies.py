"""Ends its process in the way that the option `how` says."""

from __future__ import annotations

import os
import signal
import sys

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        how = context.params.options["how"]
        context.metrics({"train_loss": 1.0}, step=1, epoch=1)
        print("last words", flush=True)
        if how == "sys.exit":
            sys.exit(5)
        if how == "os._exit":
            os._exit(3)
        os.kill(os.getpid(), signal.Signals[how])
        raise AssertionError("the signal did not end the process")


class InDescribe(Trainer):
    def describe(self):
        print("last words", flush=True)
        os._exit(4)
