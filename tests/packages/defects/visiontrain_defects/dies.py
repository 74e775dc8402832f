"""Ends its process in the way that the option `how` says."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        context.metrics({"train_loss": 1.0}, step=1, epoch=1)
        print("last words", flush=True)
        die(context.params.options["how"])


class InDescribe(Trainer):
    def describe(self):
        print("last words", flush=True)
        os._exit(4)


class WhenAsked(Healthy):
    """Does it when asked for its models, in the way that a variable says."""

    def models(self):
        print("last words", flush=True)
        die(os.environ["VISIONTRAIN_TEST_HOW"])


class AfterCheckpoint(Healthy):
    """Leaves a checkpoint before."""

    def train(self, context: RunContext) -> TrainResult:
        path = context.checkpoints_dir / "last.txt"
        path.write_text("state", encoding="utf-8")
        context.checkpoint(path, kind="last", step=3, epoch=1.5)
        print("last words", flush=True)
        die(context.params.options["how"])


class ClosesPipe(Healthy):
    """Lives on without a way to answer."""

    def models(self):
        for fd in range(3, 256):
            # The other direction stays: its reader ends the worker when there is nothing to read from.
            with contextlib.suppress(OSError):
                if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
                    os.close(fd)
        signal.pause()


def die(how: str):
    """Never returns."""
    if how == "sys.exit":
        sys.exit(5)
    if how.startswith("os._exit"):
        os._exit(int(how.partition(" ")[2]))
    if how == "abort":
        os.abort()
    if how == "segfault":
        ctypes.string_at(0)
    if how == "raise":
        raise ValueError("the failure")
    os.kill(os.getpid(), signal.Signals[how])
    raise AssertionError("the signal did not end the process")
