"""What a run's events add up to: an epoch a row, each epoch once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from visiontrain.protocol.events import Event, MetricsEvent, ResumedEvent, join_non_finite
from visiontrain.rundir.events import EVENTS, read_events

__all__ = ["HistoryRow", "fold_history", "read_history"]

#: One epoch: ``epoch`` (from 1), ``step`` (optimizer steps done) and the metrics by their canonical names.
HistoryRow = dict[str, float]


def fold_history(events: Iterable[Event]) -> list[HistoryRow]:
    """Rows by epoch. What was recorded past the point that a resume went back to does not count: it was done again."""
    rows: dict[int, HistoryRow] = {}
    for event in events:
        if isinstance(event, ResumedEvent):
            rows = {epoch: row for epoch, row in rows.items() if row["step"] <= event.step and epoch <= event.epoch}
        elif isinstance(event, MetricsEvent) and event.scope == "epoch":
            values = join_non_finite(event.values, event.non_finite)
            rows[event.epoch] = {"epoch": event.epoch, "step": event.step, **rows.get(event.epoch, {}), **values}
    return [rows[epoch] for epoch in sorted(rows)]


def read_history(run_dir: Path) -> list[HistoryRow]:
    """The history of the run in that folder."""
    return fold_history(read_events(run_dir / EVENTS))
