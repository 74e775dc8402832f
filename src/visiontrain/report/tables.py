"""Metrics in rows: of each class, and of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from visiontrain.report.metrics import ordered
from visiontrain.rundir.history import HistoryRow
from visiontrain.wording import metric

__all__ = ["Table", "class_names", "class_table", "history_names", "history_table"]


@dataclass(frozen=True)
class Table:
    """Cells by rows; the first column says what a row is of."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def class_names(values: Mapping[str, Mapping[str, float]], primary: str | None) -> list[str]:
    """Names of the metrics that are known of classes, the telling ones first."""
    return ordered(dict.fromkeys(name for of_class in values.values() for name in of_class), primary)


def class_table(values: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> Table:
    """A row a class.

    Args:
        values: By class, then by metric, as `visiontrain.report.metrics.per_class` gives them.
        names: The metrics that have a column.
    """
    return Table(["class", *names], [[label, *_cells(of_class, names)] for label, of_class in values.items()])


def history_names(history: Sequence[HistoryRow], primary: str | None) -> list[str]:
    """Names of the metrics of epochs, the telling ones first."""
    return ordered(dict.fromkeys(name for row in history for name in row if name not in ("epoch", "step")), primary)


def history_table(history: Sequence[HistoryRow], names: Sequence[str]) -> Table:
    """A row an epoch.

    Args:
        history: The epochs.
        names: The metrics that have a column.
    """
    rows = [[f"{row['epoch']:g}", f"{row['step']:,.0f}", *_cells(row, names)] for row in history]
    return Table(["epoch", "step", *names], rows)


def _cells(values: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [metric(values[name]) if name in values else "" for name in names]
