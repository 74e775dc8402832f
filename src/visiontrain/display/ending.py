"""How a run ended: what came out, where it is, what to type next."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from visiontrain.display.consoles import say, say_field
from visiontrain.display.metrics import metrics_line
from visiontrain.display.tracking import tracking_in_words
from visiontrain.handles import Run
from visiontrain.protocol.events import UNFINISHED, in_epochs
from visiontrain.report.facts import best_epoch, time_taken
from visiontrain.report.metrics import primary_metric
from visiontrain.report.page import REPORT
from visiontrain.supervisor.record import RunRecord
from visiontrain.wording import clean, duration

__all__ = ["next_commands", "say_ending"]

_WIDTH = 100

#: How a trained model is put to use, by the request that its trainer must answer for it.
_USES = {"evaluate": "visiontrain evaluate {}", "predict": "visiontrain predict {} IMAGE"}

_STYLES = {"completed": "bold green", "stopped": "bold yellow", "failed": "bold red", "interrupted": "bold red"}


def say_ending(console: Console, run: Run) -> None:
    """Print how the latest attempt ended. Why it failed is told by the error, not here."""
    record = run.record
    say(console, Text(_headline(run, record), _STYLES.get(record.status, "")))
    metrics = run.metrics
    if metrics and record.kind != "export":  # how far the two models are from each other is told already
        primary = primary_metric(record.task, multi_label=record.data.multi_label)
        say_field(console, "metrics", metrics_line(metrics, primary, limit=_WIDTH).plain)
    say_field(console, "run folder", str(run.run_dir), whole=True)
    best = run.best_checkpoint
    if best is not None:
        say_field(console, "checkpoint", str(best), whole=True)
    report = run.run_dir / REPORT
    if report.is_file():
        say_field(console, "report", str(report), whole=True)
    tracked = tracking_in_words(run)
    if tracked is not None:
        say_field(console, "tracking", tracked, whole=True)
    if record.status in ("failed", "interrupted"):
        say_field(console, "log", str(run.run_dir / "worker.log"), whole=True)
        return
    if record.kind != "train":
        return
    say(console, "Next:")
    for command in next_commands(record):
        say(console, f"  {command}", whole=True)


def next_commands(record: RunRecord, *, shown: bool = False) -> list[str]:
    """Commands that make sense next.

    Args:
        record: The run.
        shown: Whether the run is being shown already.
    """
    if record.status in UNFINISHED:
        return [f"visiontrain runs follow {record.run_id}", f"visiontrain stop {record.run_id}"]
    if record.kind != "train":
        again = [] if record.status == "completed" else [_started_again(record)]
        return [*again, f"visiontrain runs show {record.parent}"]
    show = [] if shown else [f"visiontrain runs show {record.run_id}"]
    if record.status == "completed":
        epochs = int(record.spec.get("epochs") or 0)
        offered = record.worker.offers if record.worker is not None else ()
        return [
            *(command.format(record.run_id) for method, command in _USES.items() if method in offered),
            *show,
            f"visiontrain resume {record.run_id} --epochs {epochs + max(5, epochs // 4)}",
        ]
    return [f"visiontrain resume {record.run_id}", *show]


def _started_again(record: RunRecord) -> str:
    """The command for the same evaluation or export: which model, what on, what as."""
    spec = record.spec
    data = [spec["data"]] if record.kind == "evaluate" and spec.get("data") else []
    named = ("split",) if record.kind == "evaluate" else ("format", "data", "output")
    options = [word for name in named if spec.get(name) for word in (f"--{name}", spec[name])]
    return shlex.join(["visiontrain", record.kind, str(record.parent), *data, *options])


def _headline(run: Run, record: RunRecord) -> str:
    seconds = time_taken(record)
    after = f" after {duration(seconds)}" if seconds is not None else ""
    if record.kind != "train":
        why = f": {clean(record.reason)}" if record.reason and record.status == "stopped" else ""
        return record.status.capitalize() + after + why
    if record.status == "completed":
        epoch = best_epoch(run.history, primary_metric(record.task, multi_label=record.data.multi_label))
        return f"Completed{after}" + (f"; the best epoch was {epoch} of {record.spec.get('epochs')}" if epoch else "")
    done = f", {in_epochs(record.last.epoch)} of {record.spec.get('epochs'):,} epochs done" if record.last else ""
    if record.status == "stopped":
        return f"Stopped{after}{done}" + (f": {clean(record.reason)}" if record.reason else "")
    return f"{record.status.capitalize()}{after}{done}"
