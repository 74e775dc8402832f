"""Answers with what is not the protocol's."""

from __future__ import annotations

import os
import stat

from visiontrain.errors import ProtocolError
from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class ReturnsNone(Healthy):
    def train(self, context: RunContext):
        return None


class ReturnsObject(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        return TrainResult("completed", 1.0, {"accuracy": object()})


class ReturnsNan(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        return TrainResult("completed", 1.0, {"accuracy": float("nan")})


class ReportsObject(Healthy):
    """Survives its own mistake, and goes on reporting."""

    def train(self, context: RunContext) -> TrainResult:
        context.log("before")
        for wrong in (object(), "x" * 17_000_000):
            try:
                context.log(wrong)
            except ProtocolError as error:
                context.log(f"refused: {str(error)[:30]}")
        context.log("after")
        return TrainResult("completed", 1.0)


class WritesIntoThePipe(Healthy):
    """Finds the protocol's descriptor and spoils it."""

    def train(self, context: RunContext) -> TrainResult:
        for fd in range(3, 64):
            try:
                mode = os.fstat(fd).st_mode
                if stat.S_ISFIFO(mode):
                    os.write(fd, b"nonsense\n")
            except OSError:
                continue
        return TrainResult("completed", 1.0)
