"""From the events of a record to what a tracker is sent: each point once, also where a resumed run does steps again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from visiontrain.protocol.events import ArtifactEvent, Event, MetricsEvent, ResumedEvent, StatusEvent
from visiontrain.protocol.tracking import Point, TrackedFile
from visiontrain.tracking.state import TrackingState

__all__ = ["Piece", "begin_piece", "fold"]

#: Before the names of points between epochs: a mean over an epoch and a number of its last step are two metrics.
STEP_PREFIX = "step/"

#: Before the names of a training's numbers of its best epoch: those of the last one go by the names alone.
BEST_PREFIX = "best/"


@dataclass
class Piece:
    """A piece of a record as it is sent, and what is to be known when the next one is folded."""

    reached: dict[str, int]
    again: dict[str, int]
    points: list[Point] = field(default_factory=list)
    files: dict[str, TrackedFile] = field(default_factory=dict)


def begin_piece(state: TrackingState) -> Piece:
    """An empty piece that goes on where `state` is."""
    return Piece(dict(state.reached), dict(state.again))


def fold(events: Iterable[Event], piece: Piece, run_dir: Path, *, kind: str) -> None:
    """Add events to a piece.

    A run that is resumed goes back to its checkpoint and does some steps again. Where it does so exactly, these give
    the numbers that were sent already, and are left out. Where it can't, they give others, which are sent: the run's
    history counts them, not the earlier ones, and a tracker's page shows both.
    """
    for event in events:
        if isinstance(event, MetricsEvent):
            if event.scope == "epoch":
                numbered = replace(event, values={"epoch": float(event.epoch), **event.values})
                _add(piece, "", numbered, step=event.step)
            else:
                _add(piece, STEP_PREFIX, event, step=event.step)
        elif isinstance(event, StatusEvent):
            # At the step that was reached: an evaluation has none, a training the best epoch's numbers.
            if kind == "train":
                _add(piece, BEST_PREFIX, event, step=max(piece.reached.values(), default=0))
            else:
                _add(piece, "", event, step=0)
        elif isinstance(event, ResumedEvent):
            piece.again = dict(piece.reached) if event.exact else {}
        elif isinstance(event, ArtifactEvent):
            name = event.path.removeprefix("artifacts/")
            piece.files[event.path] = TrackedFile(str(run_dir / event.path), name)


def _add(piece: Piece, prefix: str, event: MetricsEvent | StatusEvent, *, step: int) -> None:
    values = event.values if isinstance(event, MetricsEvent) else event.metrics
    for name, value in values.items():
        key = prefix + name
        if step <= piece.again.get(key, -1):
            continue
        piece.reached[key] = max(step, piece.reached.get(key, 0))
        piece.points.append(Point(key, value, step, round(event.time * 1000), event.non_finite.get(name)))
