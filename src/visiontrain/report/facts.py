"""What a record says, in words: a fact a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from visiontrain.protocol.events import in_epochs, join_non_finite
from visiontrain.rundir.history import HistoryRow
from visiontrain.supervisor.record import RunRecord
from visiontrain.wording import duration, plural

__all__ = ["Fact", "best_epoch", "facts_of", "metrics_of", "time_taken"]

#: Fields of a spec that are told beside the framework's own options.
_ASKED_FOR = (
    *("epochs", "batch_size", "learning_rate", "image_size", "device", "seed"),
    *("splits", "format", "tolerance", "images", "output"),
)


@dataclass(frozen=True)
class Fact:
    """One thing that is known of a run.

    Args:
        label: What it is.
        value: In words.
        copied: Whether the value is copied rather than read, as a path is.
    """

    label: str
    value: str
    copied: bool = False


def facts_of(record: RunRecord, run_dir: Path) -> Iterator[Fact]:
    """All but metrics and history: what was asked for, what the run ran on, where its files are."""
    yield Fact("run", record.run_id + (f" ({record.name})" if record.name else ""))
    if record.kind != "train":
        yield Fact("kind", f"{record.kind} of {record.parent}")
    yield Fact("status", record.status + (f": {record.reason}" if record.reason else ""))
    yield Fact("created", _created(record))
    weights = record.spec.get("weights") or record.spec.get("checkpoint")
    yield Fact("model", f"{record.model}, weights: {weights}")
    yield Fact("framework", f"{record.framework} (plugin {record.plugin_version}, {record.licence})")
    environment = record.environment
    how = "locked" if environment.locked else "adopted, not locked"
    yield Fact("environment", f"{environment.name}@{environment.generation} ({how})")
    if record.worker is not None:
        yield Fact("versions", ", ".join(f"{name} {version}" for name, version in record.worker.versions.items()))
        devices = "; ".join(f"{device.name} {device.description}".strip() for device in record.worker.devices)
        cpu = record.worker.cpu
        threads = f"; {plural(cpu.threads, 'thread')}, {cpu.capability}" if cpu else ""
        yield Fact("devices", (devices or "unknown") + threads)
    data = record.data
    splits = ", ".join(f"{name} {count:,}" for name, count in data.splits.items())
    yield Fact("data", f"{data.path} ({data.format}): {splits}; {plural(len(data.classes), 'class', 'classes')}")
    yield Fact("task", record.task)
    spec = record.spec
    yield Fact("asked for", ", ".join(f"{name}={spec[name]}" for name in _ASKED_FOR if spec.get(name) is not None))
    if spec.get("options"):
        yield Fact("options", ", ".join(f"{name}={value}" for name, value in sorted(spec["options"].items())))
    yield Fact("run folder", str(run_dir), copied=True)
    for label, kept in (("best", record.best), ("last", record.last)):
        if kept is not None:
            exact = "" if kept.exact or label == "best" else ", not exact"
            done = f"{in_epochs(kept.epoch)} epochs, step {kept.step:,}{exact}"
            yield Fact(label, f"{run_dir / kept.path} ({done})", copied=True)
    yield Fact("log", str(run_dir / "worker.log"), copied=True)


def time_taken(record: RunRecord) -> float | None:
    """Seconds that the latest attempt took; None while it goes on, or where its end was not recorded."""
    if record.started_at is None or record.ended_at is None:
        return None
    return (datetime.fromisoformat(record.ended_at) - datetime.fromisoformat(record.started_at)).total_seconds()


def metrics_of(record: RunRecord, read: Callable[[], Sequence[HistoryRow]]) -> dict[str, float]:
    """The best epoch's metrics by the primary one, or those of the last epoch before the end.

    Args:
        record: The run.
        read: Gives its history, where that is needed.
    """
    if record.metrics:
        return join_non_finite(record.metrics, record.non_finite)
    rows = read()
    return {name: value for name, value in rows[-1].items() if name not in ("epoch", "step")} if rows else {}


def best_epoch(history: Sequence[HistoryRow], primary: str | None) -> int | None:
    """The epoch with the highest primary metric, the first of several; None where none has it."""
    rows = [row for row in history if primary in row and row[primary] == row[primary]] if primary else []
    return int(max(rows, key=lambda row: (row[primary], -row["epoch"]))["epoch"]) if primary and rows else None


def _created(record: RunRecord) -> str:
    taken = time_taken(record)
    attempts = f", attempt {record.attempt}" if record.attempt > 1 else ""
    return record.created_at + (f"; took {duration(taken)}" if taken is not None else "") + attempts
