"""What ``visiontrain runs`` shows of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from visiontrain.cli.output import numbers, print_table, print_text
from visiontrain.cli.results import run_object
from visiontrain.display.consoles import output_console, say_field
from visiontrain.display.ending import next_commands
from visiontrain.display.tracking import tracking_in_words
from visiontrain.handles import Run
from visiontrain.protocol.events import join_non_finite
from visiontrain.protocol.structure import unstructure
from visiontrain.report.facts import Fact, facts_of
from visiontrain.report.metrics import ordered, per_class, primary_metric
from visiontrain.report.page import REPORT
from visiontrain.report.tables import class_names, class_table, history_names, history_table
from visiontrain.supervisor.record import RunRecord
from visiontrain.wording import metric

__all__ = ["list_row", "print_metrics", "print_report", "report_object"]

#: A metric's column and the space before it.
_COLUMN = 2


def list_row(run: Run) -> tuple[str, ...]:
    """Cells of a run in the list: id, kind, status, model, best primary metric, data, name."""
    record = run.record
    name = primary_metric(record.task, multi_label=record.data.multi_label)
    best = join_non_finite(record.metrics, record.non_finite).get(name) if name else None
    shown = f"{name} {metric(best)}" if best is not None else ""
    return (run.run_id, record.kind, record.status, record.model, shown, Path(record.data.path).name, record.name or "")


def report_object(run: Run) -> dict[str, Any]:
    """All that is known, as one JSON object: `run_object`, the whole record, and the history."""
    rows = []
    for row in run.history:
        head = {"epoch": int(row["epoch"]), "step": int(row["step"])}
        rows.append({**head, **numbers({name: value for name, value in row.items() if name not in head})})
    return {**run_object(run), "history": rows, "record": unstructure(run.record)}


def print_report(run: Run) -> None:
    """All that is known, for a person."""
    record = run.record
    console = output_console()
    for fact in _facts(run, record):
        say_field(console, fact.label, fact.value, whole=fact.copied)
    if run.metrics:
        which = " of the best epoch" if record.metrics else " of the last epoch"
        print_text("\nMetrics" + (which if record.kind == "train" else ""))
        print_metrics(run)
    _print_history(run, primary_metric(record.task, multi_label=record.data.multi_label))
    for warning in record.data.warnings:
        print_text(f"\nWarning about the data: {warning}")
    print_text("\nNext")
    for command in next_commands(record, shown=True):
        print_text(f"  {command}")


def print_metrics(run: Run) -> None:
    """A metric a line, then a table of those of each class."""
    record, metrics = run.record, run.metrics
    for key in ordered(metrics, primary_metric(record.task, multi_label=record.data.multi_label)):
        print_text(f"  {key:<22}{metric(metrics[key])}")
    _print_per_class(per_class(metrics), primary_metric(record.task, multi_label=record.data.multi_label))


def _facts(run: Run, record: RunRecord) -> Iterator[Fact]:
    yield from facts_of(record, run.run_dir)
    report = run.run_dir / REPORT
    if report.is_file():
        yield Fact("report", str(report), copied=True)
    tracked = tracking_in_words(run)
    if tracked is not None:
        yield Fact("tracking", tracked)
    if record.error is not None and record.error.instruction:
        yield Fact("to do", record.error.instruction)


def _print_per_class(values: dict[str, dict[str, float]], primary: str | None) -> None:
    if not values:
        return
    names = class_names(values, primary)
    if sys.stdout.isatty():
        names = names[: _fitting(names, beside=max(map(len, values)))]
    print_text("\nPer class")
    table = class_table(values, names)
    print_table(table.head, table.rows, right=names)


def _print_history(run: Run, primary: str | None) -> None:
    history = run.history
    if not history:
        return
    names = history_names(history, primary)
    if sys.stdout.isatty():
        names = names[: _fitting(names, beside=14)]
    print_text("\nHistory")
    table = history_table(history, names)
    print_table(table.head, table.rows, right=table.head)


def _fitting(names: list[str], *, beside: int) -> int:
    """How many of the columns a terminal has room for; one at the least.

    Args:
        names: Of the columns.
        beside: Letters that are taken by others.
    """
    room = output_console().width - beside
    for number, name in enumerate(names):
        room -= max(len(name), 6) + _COLUMN
        if room < 0:
            return max(1, number)
    return len(names)
