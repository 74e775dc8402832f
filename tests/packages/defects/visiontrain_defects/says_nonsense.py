"""Answers with what is not the protocol's."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time

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


def say(*lines: str) -> None:
    """Write lines into the pipe that carries the protocol, past the worker's own code."""
    for fd in range(3, 64):
        try:
            writable = stat.S_ISFIFO(os.fstat(fd).st_mode) and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_WRONLY
        except OSError:
            continue
        if writable:
            data = "".join(f"{line}\n" for line in lines).encode("latin-1")
            while data:
                data = data[os.write(fd, data) :]


class SaysLines(Healthy):
    """Says the option `lines` beside what a worker says; RUN in them stands for the run's id."""

    def train(self, context: RunContext) -> TrainResult:
        say(*(line.replace("RUN", context.params.run_id) for line in context.params.options["lines"]))
        return TrainResult("completed", 1.0)


class SaysOneLine(Healthy):
    """The same, of a line with as many bytes as the option `bytes` says."""

    def train(self, context: RunContext) -> TrainResult:
        say("x" * context.params.options["bytes"])
        return TrainResult("completed", 1.0)


class AnswersTooEarly(Healthy):
    """Answers the training before it was asked for."""

    def describe(self):
        say('{"jsonrpc":"2.0","id":2,"result":{"status":"completed","epochs":1.0}}')
        return super().describe()


class AsksTheHost(Healthy):
    """Sends a request of its own where the answer to a question is due."""

    def models(self):
        say('{"jsonrpc":"2.0","id":1,"method":"models","params":{}}')
        return super().models()


class ChattersOn(Healthy):
    """Sends an answer to a question that nobody has asked yet."""

    def describe(self):
        say('{"jsonrpc":"2.0","id":2,"result":[]}')
        return super().describe()


class AnswersNext(Healthy):
    """Answers the second question together with the first."""

    def models(self):
        say('{"jsonrpc":"2.0","id":2,"result":[]}\n{"jsonrpc":"2.0","id":3,"result":[]}')
        return super().models()


class ReportsAfterwards(Healthy):
    """Leaves a thread behind that goes on reporting."""

    def train(self, context: RunContext) -> TrainResult:
        returned = threading.Event()

        def report() -> None:
            returned.wait()
            time.sleep(0.05)
            try:
                context.log("too late")
            except ProtocolError as error:
                print(f"refused: {error}")

        thread = threading.Thread(target=report)
        thread.start()
        context.log("in time")
        returned.set()
        return TrainResult("completed", 1.0)
