"""``report.html``: a run on one page that needs no network, no server and no script."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visiontrain.protocol.events import ArtifactEvent, Event, LogEvent
from visiontrain.protocol.metrics import LOSS_PART
from visiontrain.report.charts import charts_of
from visiontrain.report.facts import Fact, best_epoch, facts_of, metrics_of
from visiontrain.report.metrics import ASIDE, ordered, per_class, primary_metric
from visiontrain.report.tables import class_names, class_table, history_names, history_table
from visiontrain.rundir.directory import read_current_record
from visiontrain.rundir.events import EVENTS, read_events
from visiontrain.rundir.history import HistoryRow, fold_history
from visiontrain.storage import explained
from visiontrain.supervisor.record import RunRecord, write_atomically
from visiontrain.wording import clean, metric

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["REPORT", "render_report", "write_report"]

#: The page's name in its run's folder.
REPORT = "report.html"

#: Pictures by their file's ending: only what a browser shows as an image, and as nothing else.
_IMAGES = {".svg": "svg+xml", ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}

#: Bytes: a larger picture stays a file, so that the page can be sent to somebody.
_MOST = 8 << 20

#: Rows: a longer table of classes is folded, so that what follows is found.
_MANY = 40

#: Of warnings and errors the last ones.
_MESSAGES = 50


@dataclass(frozen=True)
class Picture:
    """A file that the run has left to be looked at.

    Args:
        path: Relative to the run's folder.
        source: Its content as a data address; None: it is too large, gone, or no image.
    """

    path: str
    source: str | None


@dataclass
class _Told:
    """What the events add up to, beside the history."""

    artifacts: dict[str, str] = field(default_factory=dict)
    messages: list[LogEvent] = field(default_factory=list)

    def keep(self, events: Iterable[Event]) -> Iterable[Event]:
        """The events, unchanged: they are read once."""
        for event in events:
            if isinstance(event, ArtifactEvent):
                self.artifacts[event.path] = event.kind
            elif isinstance(event, LogEvent) and event.level in ("warning", "error"):
                self.messages = [*self.messages[1 - _MESSAGES :], event]
            yield event


def write_report(run_dir: Path) -> Path:
    """Write the page of a run, as it stands, into its folder; gives the file.

    Raises:
        UnknownRunError: there is no readable record.
        StorageError: the disk does not take the file, or a record can't be read.
    """
    path, page = run_dir / REPORT, render_report(run_dir)
    with explained(f"the report of the run {run_dir.name} can't be written"):
        write_atomically(path, page.encode("utf-8"))
    return path


def render_report(run_dir: Path) -> str:
    """The page of a run as it stands: made from its record, its events and its artifacts alone.

    Raises:
        UnknownRunError: there is no readable record.
        StorageError: a record can't be read.
    """
    record, told = read_current_record(run_dir), _Told()
    history = fold_history(told.keep(read_events(run_dir / EVENTS)))
    primary = primary_metric(record.task, multi_label=record.data.multi_label)
    best = best_epoch(history, primary)
    metrics = metrics_of(record, lambda: history)
    classes = per_class(metrics)
    charts = charts_of(history, primary, best=best)
    return _template().render(
        record=record,
        title=f"{record.model} on {_name_of(Path(record.data.path))}",
        facts=list(_facts(record, run_dir)),
        primary=primary,
        heading=_heading(record, history, best),
        metrics=_key_metrics(metrics, primary, drawn=bool(charts)),
        charts=charts,
        classes=class_table(classes, class_names(classes, primary)),
        many=_MANY,
        history=history_table(history, history_names(history, primary)),
        pictures=[_picture(run_dir, path) for path, kind in told.artifacts.items() if kind == "picture"],
        files=[path for path, kind in told.artifacts.items() if kind != "picture"],
        messages=told.messages,
    )


def _name_of(data: Path) -> str:
    """The data's folder; of a file in it, as ``data.yaml``, both names."""
    return f"{data.parent.name}/{data.name}" if data.suffix else data.name


def _facts(record: RunRecord, run_dir: Path) -> Iterable[Fact]:
    """Without what the page's head says."""
    return (fact for fact in facts_of(record, run_dir) if fact.label not in ("run", "status") and fact.value)


def _heading(record: RunRecord, history: Sequence[HistoryRow], best: int | None) -> str:
    """Which numbers `metrics_of` gives."""
    if record.kind != "train":
        return "Metrics"
    if record.metrics:
        return "Metrics" if best is None else f"Best epoch: {best}"
    return f"Last epoch: {history[-1]['epoch']:g}" if history else "Metrics"


def _key_metrics(metrics: Mapping[str, float], primary: str | None, *, drawn: bool) -> list[tuple[str, str]]:
    """Names and values; without those that say how, not how good, where a diagram shows them.

    Args:
        metrics: Of the whole.
        primary: The metric that picks the best checkpoint.
        drawn: Whether there are diagrams.
    """
    names = ordered(metrics, primary)
    if drawn:
        names = [name for name in names if name not in ASIDE and not LOSS_PART.fullmatch(name)]
    return [(name, metric(metrics[name])) for name in names]


def _picture(run_dir: Path, path: str) -> Picture:
    """A picture as part of the page: as an image, which runs no script, whatever its file holds."""
    file, kind = run_dir / path, _IMAGES.get(Path(path).suffix.lower())
    try:
        if kind is None or file.stat().st_size > _MOST:
            return Picture(path, None)
        content = file.read_bytes()
    except OSError:  # removed since
        return Picture(path, None)
    return Picture(path, f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}")


def _cleaned(value: Any) -> Any:
    """Text of unknown origin as it may stand on a page; what is markup already stays."""
    return clean(value) if type(value) is str else value


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("visiontrain.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")
