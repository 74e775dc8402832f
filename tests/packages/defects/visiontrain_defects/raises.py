"""Raises exceptions, one kind a class."""

from __future__ import annotations

import sys
import threading

from visiontrain.errors import WeightsError
from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class WithCause(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        try:
            raise KeyError("the cause")
        except KeyError as cause:
            error = ValueError("the failure")
            error.__notes__ = ["a note"]  # add_note() came with 3.11
            raise error from cause


class InDescribe(Healthy):
    def describe(self):
        raise ImportError("no framework here")


class WeightsMissing(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        raise WeightsError("there are no weights", instruction="Take others.")


class _OwnError(Exception):
    """Of a class that no other process has, with what can't be pickled in it."""

    def __init__(self, text: str) -> None:
        super().__init__(text, lambda: None, threading.Lock())
        self.text = text

    def __str__(self) -> str:
        return self.text


class OfItsOwnClass(Healthy):
    """Causes, contexts, notes, and a group where the interpreter has them."""

    def train(self, context: RunContext) -> TrainResult:
        context.log("failing")
        print("last words", flush=True)
        try:
            try:
                raise OSError("the context")
            except OSError:
                raise KeyError("the cause")  # noqa: B904 - so it is a context
        except KeyError as cause:
            error = _OwnError("the failure \N{SNOWMAN} \udcff")
            if sys.version_info >= (3, 11):
                error.add_note("a note")
                member = TypeError("a member")
                member.add_note("a member's note")
                raise ExceptionGroup("several", [error, member]) from cause  # noqa: F821 - not 3.10
            raise error from cause


class _UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


class Unprintable(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        raise _UnprintableError
