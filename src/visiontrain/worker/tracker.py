"""What a plugin's tracker class must offer: it takes the records of runs, inside an environment of its own."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from visiontrain.protocol.tracking import (
    LogModelParams,
    LogModelResult,
    SystemMetricsResult,
    TrackParams,
    TrackResult,
)
from visiontrain.worker.trainer import Description

__all__ = ["Tracker"]


@runtime_checkable
class Tracker(Protocol):
    """Made once a worker, without arguments. Every method runs on the worker's main thread.

    An exception fails the request: it is asked again later. A `visiontrain.errors.TrackingError` says what to do about
    it. Passwords must not be in a message: it is shown, and kept.
    """

    def describe(self) -> Description:
        """Versions of the packages that track."""
        ...

    def track(self, params: TrackParams) -> TrackResult:
        """Take a piece of a run's record, all of it, or raise. The same piece may come more than once."""
        ...

    def log_model(self, params: LogModelParams) -> LogModelResult:
        """Keep an exported model where it can be served from, and register it where that is asked for."""
        ...

    def system_metrics(self) -> SystemMetricsResult:
        """What the machine is doing at this moment."""
        ...
