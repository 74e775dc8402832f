"""What happens in a run, as the worker tells it and as ``events.jsonl`` keeps it.

The same JSON object stands in the event's notification and on a line of the record, so that the supervisor need not
write it anew. `seq` counts a source's events from 1: without gaps on the pipe, while the record leaves progress out.
`monotonic` orders events of one machine's uptime; `time` is the wall clock in seconds since the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from visiontrain.errors import ProtocolError
from visiontrain.protocol.messages import ErrorInfo, InitializeResult
from visiontrain.protocol.structure import JsonObject, converter, unstructure

__all__ = [
    "UNFINISHED",
    "ArtifactEvent",
    "CheckpointEvent",
    "EstimateEvent",
    "Event",
    "LogEvent",
    "MetricsEvent",
    "ProgressEvent",
    "ResumedEvent",
    "StatusEvent",
    "WorkerEvent",
    "event_from_json",
    "event_to_json",
    "in_epochs",
    "join_non_finite",
    "split_non_finite",
]

Status = Literal["pending", "running", "completed", "failed", "stopped", "interrupted"]
#: Those of a run that somebody works on.
UNFINISHED: tuple[Status, ...] = ("pending", "running")


@dataclass(frozen=True)
class EventBase:
    """What every event carries.

    `source` is ``worker`` or ``supervisor``: each counts `seq` for itself, anew each attempt.
    """

    run_id: str
    seq: int
    time: float
    monotonic: float
    source: str = "worker"


@dataclass(frozen=True)
class MetricsEvent(EventBase):
    """Numbers at an optimizer step. `scope`: ``epoch`` for an epoch's row of the history, ``step`` for points between.

    `values` holds null for a number that is not finite; `non_finite` says which it was: NaN, Infinity or -Infinity.
    """

    type: ClassVar[str] = "metrics"
    step: int = 0
    epoch: int = 0  # counted from 1
    scope: Literal["epoch", "step"] = "epoch"
    values: dict[str, float | None] = field(default_factory=dict)
    non_finite: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProgressEvent(EventBase):
    """How far a phase is: shown, coalesced, and not kept in the record."""

    type: ClassVar[str] = "progress"
    phase: str = "train"  # setup, train, val, ...
    epoch: int = 0
    epochs: int = 0
    step: int = 0  # batches done of this phase
    steps: int = 0
    values: dict[str, float | None] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True)
class CheckpointEvent(EventBase):
    """A checkpoint is on disk, whole. `path` is relative to the run's folder."""

    type: ClassVar[str] = "checkpoint"
    path: str = ""
    kind: Literal["last", "best"] = "last"
    step: int = 0
    epoch: float = 0.0  # epochs done, with the fraction of the one under way
    exact: bool = True  # resuming from it gives what an uninterrupted run would have given
    reason: str | None = None  # why it is not exact


@dataclass(frozen=True)
class ArtifactEvent(EventBase):
    """Another output file is on disk, whole. `path` is relative to the run's folder."""

    type: ClassVar[str] = "artifact"
    path: str = ""
    kind: str = "file"


@dataclass(frozen=True)
class EstimateEvent(EventBase):
    """How long the rest of a run takes, and how much memory: by what it has done so far, and told again as that grows.

    `seconds` is until all epochs are done, `epoch_seconds` for one with its validation and checkpoints; `epochs` are
    left, with the fraction of the one under way. `memory` is the most so far and `memory_total` what there is, in
    bytes: the device's, or the machine's where the run computes on its processors.
    """

    type: ClassVar[str] = "estimate"
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    epochs: float = 0.0
    memory: int | None = None
    memory_total: int | None = None


@dataclass(frozen=True)
class LogEvent(EventBase):
    """A message for the person."""

    type: ClassVar[str] = "log"
    level: Literal["debug", "info", "warning", "error"] = "info"
    message: str = ""


@dataclass(frozen=True)
class ResumedEvent(EventBase):
    """Training goes on from `step`: what the record holds past it is done again and no longer counts."""

    type: ClassVar[str] = "resumed"
    step: int = 0
    epoch: float = 0.0
    checkpoint: str | None = None  # None: from the beginning, there was no checkpoint
    exact: bool = True
    reason: str | None = None


@dataclass(frozen=True)
class WorkerEvent(EventBase):
    """The worker answered `initialize`: versions, devices, threads and instruction set of this attempt."""

    type: ClassVar[str] = "worker"
    worker: InitializeResult | None = None


@dataclass(frozen=True)
class StatusEvent(EventBase):
    """The run's status changed. The last event of every attempt is a `StatusEvent`."""

    type: ClassVar[str] = "status"
    status: Status = "running"
    attempt: int = 1
    reason: str | None = None
    error: ErrorInfo | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    non_finite: dict[str, str] = field(default_factory=dict)


Event = (
    MetricsEvent
    | ProgressEvent
    | CheckpointEvent
    | ArtifactEvent
    | EstimateEvent
    | LogEvent
    | ResumedEvent
    | WorkerEvent
    | StatusEvent
)

_TYPES: dict[str, type[Event]] = {
    cls.type: cls
    for cls in (
        MetricsEvent,
        ProgressEvent,
        CheckpointEvent,
        ArtifactEvent,
        EstimateEvent,
        LogEvent,
        ResumedEvent,
        WorkerEvent,
        StatusEvent,
    )
}


def event_from_json(value: Any) -> Event | None:
    """Make an event out of its JSON object. None for a type that this version does not know.

    Raises:
        ProtocolError: a field is missing or of another type.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        raise ProtocolError("an event is an object with a type")
    cls = _TYPES.get(kind)
    if cls is None:
        return None
    # What `structure` does, without its call: there may be a hundred thousand events a second.
    made: Event = converter(cls)(value, cls.__name__)  # type: ignore[arg-type]  # mypy: type[T] may not hash; it does
    return made


def event_to_json(event: Event) -> JsonObject:
    """The event's JSON object, `type` first."""
    return {"type": event.type, **unstructure(event)}


def split_non_finite(values: Mapping[str, float]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Strict JSON has no NaN and no infinities: give null in their place, and their names beside.

    Raises:
        TypeError: a value is not a number.
    """
    finite: dict[str, float | None] = {}
    non_finite: dict[str, str] = {}
    for name, value in values.items():
        number = float(value)
        if math.isfinite(number):
            finite[name] = number
        else:
            finite[name] = None
            non_finite[name] = "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
    return finite, non_finite


def in_epochs(epoch: float) -> str:
    """Epochs done as a person reads them, to a hundredth: "3", "0.25", "1,850.5"."""
    return f"{epoch:,.2f}".rstrip("0").rstrip(".")


def join_non_finite(values: Mapping[str, float | None], non_finite: Mapping[str, str]) -> dict[str, float]:
    """Undo `split_non_finite`."""
    return {name: float(non_finite.get(name, "NaN")) if value is None else value for name, value in values.items()}
