"""What a host asks of a tracker: to take a piece of a run's record, or a model that was exported from it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "LogModelParams",
    "LogModelResult",
    "Point",
    "SystemMetricsResult",
    "TrackParams",
    "TrackResult",
    "TrackedFile",
    "TrackedRun",
    "TrackingTarget",
]


@dataclass(frozen=True)
class TrackingTarget:
    """Where runs are sent to. `folder` holds the store where `uri` is null: one on this machine."""

    uri: str | None
    experiment: str
    folder: str


@dataclass(frozen=True)
class Point:
    """A metric's value at a step. `time` is in milliseconds since the epoch; sent again, a point has the same one.

    `value` is null for a number that is not finite; `non_finite` says which it was: NaN, Infinity or -Infinity.
    """

    name: str
    value: float | None
    step: int
    time: int
    non_finite: str | None = None


@dataclass(frozen=True)
class TrackedFile:
    """A file of a run: `path` is absolute, `name` where it belongs among the run's artifacts."""

    path: str
    name: str


@dataclass(frozen=True)
class TrackedRun:
    """What identifies and describes a run. `tracked` and `parent` are the tracker's own ids, as it has given them.

    `status` is one of `visiontrain.protocol.events.Status`; `started` and `ended` are milliseconds since the epoch.
    """

    run_id: str
    name: str
    started: int
    status: str
    tracked: str | None = None
    parent: str | None = None
    ended: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackParams:
    """What the ``track`` request brings: a piece of a run's record. Brought again, it changes nothing.

    `uncertain` says that it may have been brought before, in part, without an answer: points are then compared with
    what is there. `texts` are small files by name, with their content.
    """

    target: TrackingTarget
    run: TrackedRun
    points: tuple[Point, ...] = ()
    files: tuple[TrackedFile, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    uncertain: bool = False


@dataclass(frozen=True)
class TrackResult:
    """The answer to ``track``: all of it was accepted. `tracked` is the tracker's id of the run, `url` its page.

    `gone` says that the run was deleted there: nothing more of it is wanted.
    """

    tracked: str
    url: str | None = None
    gone: bool = False


@dataclass(frozen=True)
class LogModelParams:
    """What the ``log_model`` request brings: the folder of an exported model, for the run `tracked`.

    `register_as` is the name of a registered model that gets it as its next version.
    """

    target: TrackingTarget
    tracked: str
    run_id: str
    folder: str
    register_as: str | None = None


@dataclass(frozen=True)
class LogModelResult:
    """The answer to ``log_model``: where the model is, and the registered version where there is one.

    `uri` is null for a model that the tracker can't serve: its files are among the run's.
    """

    uri: str | None
    version: str | None = None


@dataclass(frozen=True)
class SystemMetricsResult:
    """The answer to ``system_metrics``: what the machine is doing, by name."""

    values: dict[str, float] = field(default_factory=dict)
