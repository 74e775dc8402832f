"""Raises exceptions, one kind a class."""

from __future__ import annotations

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


class _UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


class Unprintable(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        raise _UnprintableError
