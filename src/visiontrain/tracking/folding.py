"""From the events of a record to what a tracker is sent: each point once, also where a resumed run does steps again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from visiontrain.protocol.events import ArtifactEvent, Event, MetricsEvent, ResumedEvent
from visiontrain.protocol.tracking import Point, TrackedFile
from visiontrain.tracking.state import TrackingState

__all__ = ["Piece", "begin_piece", "fold"]

#: Before the names of points between epochs: a mean over an epoch and a number of its last step are two metrics.
STEP_PREFIX = "step/"


@dataclass
class Piece:
    """A piece of a record as it is sent, and what is to be known when the next one is folded."""

    reached: dict[str, int]
    again: dict[str, int]
    points: list[Point] = field(default_factory=list)
    files: dict[str, TrackedFile] = field(default_factory=dict)


def fold(events: Iterable[Event], piece: Piece, run_dir: Path) -> None:
    """Add events to a piece.

    A run that is resumed goes back to its checkpoint and does some steps again. Where it does so exactly, these give
    the numbers that were sent already, and are left out. Where it can't, they give others, which are sent: the run's
    history counts them, not the earlier ones, and a tracker's page shows both.
    """
    for event in events:
        if isinstance(event, MetricsEvent):
            prefix = "" if event.scope == "epoch" else STEP_PREFIX
            values: Mapping[str, float | None] = event.values
            if event.scope == "epoch":
                values = {"epoch": float(event.epoch), **values}
            for name, value in values.items():
                _add(piece, prefix + name, value, event)
        elif isinstance(event, ResumedEvent):
            piece.again = dict(piece.reached) if event.exact else {}
        elif isinstance(event, ArtifactEvent):
            name = event.path.removeprefix("artifacts/")
            piece.files[event.path] = TrackedFile(str(run_dir / event.path), name)


def begin_piece(state: TrackingState) -> Piece:
    """An empty piece that goes on where `state` is."""
    return Piece(dict(state.reached), dict(state.again))


def _add(piece: Piece, name: str, value: float | None, event: MetricsEvent) -> None:
    if event.step <= piece.again.get(name, -1):
        return
    piece.reached[name] = max(event.step, piece.reached.get(name, 0))
    raw = name.removeprefix(STEP_PREFIX) if event.scope == "step" else name
    piece.points.append(Point(name, value, event.step, round(event.time * 1000), event.non_finite.get(raw)))
