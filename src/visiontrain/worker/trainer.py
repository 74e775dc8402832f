"""What a plugin's trainer class must offer: the half of a plugin that runs inside the environment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.messages import Cpu, Device, ModelInfo, TrainResult
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext

__all__ = [
    "Description",
    "Device",
    "Evaluator",
    "Exporter",
    "ModelInfo",
    "Predictor",
    "TrainResult",
    "Trainer",
]


@dataclass(frozen=True)
class Description:
    """What the environment holds and can compute on.

    Args:
        versions: Version by distribution, the framework's first; ``python`` is added by the worker.
        devices: What can be computed on, the best first.
        cpu: Threads and instruction set.
    """

    versions: dict[str, str]
    devices: tuple[Device, ...] = ()
    cpu: Cpu | None = None


class Trainer(Protocol):
    """Made once a worker, without arguments. Every method runs on the worker's main thread.

    An exception that a method raises fails the request: its class, message, notes, causes and traceback reach the
    person as text. Raise one of `visiontrain.errors` to say what to do next.
    """

    def describe(self) -> Description:
        """Versions and devices. Imports the framework."""
        ...

    def models(self) -> Iterable[ModelInfo]:
        """The catalogue: every model name that the framework's version in this environment knows."""
        ...

    def train(self, context: RunContext) -> TrainResult:
        """Train as `context.params` say, reporting through `context`; return early where it says stop.

        Stopping leaves a resumable checkpoint; with `context.params.resume` set, goes on from it.
        """
        ...


@runtime_checkable
class Evaluator(Protocol):
    """A trainer that measures a checkpoint on data. Offering it is the trainer's choice."""

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """The canonical metrics over all images of `context.params.splits`; return early where the context says stop.

        Its numbers on the validation split are those that training gave for the same checkpoint.
        """
        ...


@runtime_checkable
class Predictor(Protocol):
    """A trainer that tells what is in images. Offering it is the trainer's choice."""

    def predict(self, params: PredictParams) -> PredictResult:
        """A prediction for each of `params.images`, in order; one that can't be read has an `error` and no other.

        The model stays loaded for the next request, until one comes with another checkpoint or device.
        """
        ...


@runtime_checkable
class Exporter(Protocol):
    """A trainer that writes its models for other programs. Offering it is the trainer's choice."""

    def export(self, context: ExportContext) -> ExportResult:
        """Write the model as `context.params.format`, and check what was written against the model itself.

        Raises:
            ExportError: it differs by more than the tolerance.
        """
        ...
