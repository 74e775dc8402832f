"""What ``visiontrain runs`` shows of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from visiontrain.cli.output import numbers, print_table, print_text
from visiontrain.cli.results import run_object
from visiontrain.display.consoles import output_console, say_field
from visiontrain.display.ending import next_commands, time_taken
from visiontrain.display.metrics import ordered, per_class, primary_metric
from visiontrain.display.text import duration, metric, plural
from visiontrain.display.tracking import tracking_in_words
from visiontrain.handles import Run
from visiontrain.protocol.events import in_epochs, join_non_finite
from visiontrain.protocol.structure import unstructure
from visiontrain.supervisor.record import RunRecord

__all__ = ["list_row", "print_metrics", "print_report", "report_object"]

#: Fields that are copied rather than read: never wrapped.
_PATHS = ("run folder", "best", "last", "log")
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
    for label, value in _fields(run, record):
        say_field(console, label, value, whole=label in _PATHS)
    if run.metrics:
        print_text("\nMetrics of the best epoch" if record.kind == "train" else "\nMetrics")
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


def _fields(run: Run, record: RunRecord) -> Iterator[tuple[str, str]]:
    yield "run", f"{record.run_id}" + (f" ({record.name})" if record.name else "")
    if record.kind != "train":
        yield "kind", f"{record.kind} of {record.parent}"
    yield "status", record.status + (f": {record.reason}" if record.reason else "")
    taken = time_taken(record)
    attempts = f", attempt {record.attempt}" if record.attempt > 1 else ""
    yield "created", record.created_at + (f"; took {duration(taken)}" if taken is not None else "") + attempts
    weights = record.spec.get("weights") or record.spec.get("checkpoint")
    yield "model", f"{record.model}, weights: {weights}"
    yield "framework", f"{record.framework} (plugin {record.plugin_version}, {record.licence})"
    environment = record.environment
    how = "locked" if environment.locked else "adopted, not locked"
    yield "environment", f"{environment.name}@{environment.generation} ({how})"
    if record.worker is not None:
        yield "versions", ", ".join(f"{name} {version}" for name, version in record.worker.versions.items())
        devices = "; ".join(f"{device.name} {device.description}".strip() for device in record.worker.devices)
        threads = (
            f"; {plural(record.worker.cpu.threads, 'thread')}, {record.worker.cpu.capability}"
            if record.worker.cpu
            else ""
        )
        yield "devices", (devices or "unknown") + threads
    splits = ", ".join(f"{name} {count:,}" for name, count in record.data.splits.items())
    yield (
        "data",
        f"{record.data.path} ({record.data.format}): {splits}; {plural(len(record.data.classes), 'class', 'classes')}",
    )
    yield "task", record.task
    spec = record.spec
    named = (
        *("epochs", "batch_size", "learning_rate", "image_size", "device", "seed"),
        *("splits", "format", "tolerance", "images", "output"),
    )
    yield "asked for", ", ".join(f"{name}={spec[name]}" for name in named if spec.get(name) is not None)
    if spec.get("options"):
        yield "options", ", ".join(f"{name}={value}" for name, value in sorted(spec["options"].items()))
    yield "run folder", str(run.run_dir)
    for label, kept in (("best", record.best), ("last", record.last)):
        if kept is not None:
            exact = "" if kept.exact or label == "best" else ", not exact"
            yield label, f"{run.run_dir / kept.path} ({in_epochs(kept.epoch)} epochs, step {kept.step:,}{exact})"
    yield "log", str(run.run_dir / "worker.log")
    tracked = tracking_in_words(run)
    if tracked is not None:
        yield "tracking", tracked
    if record.error is not None and record.error.instruction:
        yield "to do", record.error.instruction


def _print_per_class(values: dict[str, dict[str, float]], primary: str | None) -> None:
    if not values:
        return
    names = ordered(dict.fromkeys(name for of_class in values.values() for name in of_class), primary)
    if sys.stdout.isatty():
        names = names[: _fitting(names, beside=max(map(len, values)))]
    print_text("\nPer class")
    rows = [
        (label, *(metric(of_class[name]) if name in of_class else "" for name in names))
        for label, of_class in values.items()
    ]
    print_table(("class", *names), rows, right=names)


def _print_history(run: Run, primary: str | None) -> None:
    history = run.history
    if not history:
        return
    names = ordered(dict.fromkeys(name for row in history for name in row if name not in ("epoch", "step")), primary)
    if sys.stdout.isatty():
        names = names[: _fitting(names, beside=14)]
    print_text("\nHistory")
    rows = [
        (f"{row['epoch']:g}", f"{row['step']:,.0f}", *(metric(row[name]) if name in row else "" for name in names))
        for row in history
    ]
    print_table(("epoch", "step", *names), rows, right=("epoch", "step", *names))


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
