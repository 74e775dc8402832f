"""What a plugin's trainer class must offer: the half of a plugin that runs inside the environment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from visiontrain.protocol.messages import Cpu, Device, ModelInfo, TrainResult
from visiontrain.worker.context import RunContext

__all__ = ["Description", "Trainer"]


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
