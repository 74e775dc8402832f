"""Shows a run on stderr: its preparation, its progress, an epoch a line, its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, RenderableType
from rich.text import Text

from visiontrain.datasets.progress import IndexProgress
from visiontrain.display.consoles import error_console, say, say_field
from visiontrain.display.ending import say_ending
from visiontrain.display.estimating import EstimateLines
from visiontrain.display.following import EpochRow, Following
from visiontrain.display.metrics import metrics_line
from visiontrain.display.planning import model_warnings, plan_fields, plan_warnings, use_fields, use_warnings
from visiontrain.display.preparing import Preparing
from visiontrain.display.region import Region, bar
from visiontrain.environment.progress import BuildProgress
from visiontrain.handles import Run
from visiontrain.protocol.events import (
    EstimateEvent,
    Event,
    LogEvent,
    ProgressEvent,
    ResumedEvent,
    StatusEvent,
    WorkerEvent,
    in_epochs,
)
from visiontrain.protocol.metrics import LOSS_PART
from visiontrain.report.metrics import primary_metric
from visiontrain.runners.plan import Plan
from visiontrain.runners.trained import TrainedModel
from visiontrain.runners.using import UsePlan
from visiontrain.supervisor.record import RunRecord
from visiontrain.wording import clean, duration, metric

__all__ = ["ConsoleObserver"]

#: An epoch's line is this long at the most, also where no terminal says how wide it is.
_LINE = 110

#: A part of a loss from which on its fractions tell nothing: several have to fit into a line.
_LARGE = 100

#: Images a second from which on fractions of one tell nothing.
_FEW = 10

#: Room that the progress bar itself wants on its line, with the space around it.
_BAR = 16

_LEVELS = {"info": ("", "dim"), "warning": ("Warning: ", "yellow"), "error": ("Error: ", "red")}


class ConsoleObserver:
    """An `Observer` for people. Use it as a context manager: its end takes what moves off the screen.

    A terminal (or a notebook with widgets) gets a progress bar below the lines; anything else gets the lines alone,
    without control codes.

    Args:
        console: Where to; by default stderr.
        redirect: Whether the process's own prints are taken to above the progress bar.
        animate: Whether there is a progress bar, on consoles that can show one.
    """

    def __init__(self, console: Console | None = None, *, redirect: bool = True, animate: bool = True) -> None:
        self.console = console or error_console()
        self._region = Region(self.console, redirect=redirect, animate=animate)
        self._preparing = Preparing(self.console, self._region)
        self._following = Following()
        self._estimates = EstimateLines()
        self._primary: str | None = None
        self._stopping = False
        self._resumable = True  # what is stopped can be gone on with

    def __enter__(self) -> ConsoleObserver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._region.hide()

    def indexing(self, progress: IndexProgress) -> None:
        """The dataset is being read."""
        self._preparing.indexing(progress)

    def building(self, progress: BuildProgress) -> None:
        """An environment is being built."""
        self._preparing.building(progress)

    def planned(self, plan: Plan) -> None:
        """Print the choice that was made."""
        self._region.hide()
        for label, value in plan_fields(plan):
            say_field(self.console, label, value)
        for line in plan_warnings(plan):
            say(self.console, line)
        self._following = Following(plan.epochs)
        self._primary = primary_metric(plan.task, multi_label=plan.dataset.multi_label)

    def using(self, plan: UsePlan) -> None:
        """Print the choice that was made."""
        self._region.hide()
        for label, value in use_fields(plan):
            say_field(self.console, label, value)
        for line in use_warnings(plan):
            say(self.console, line)
        self._resumable = False
        record = plan.trained.record
        self._primary = primary_metric(record.task, multi_label=record.data.multi_label)

    def predicting(self, trained: TrainedModel) -> None:
        """Say what is odd about it."""
        self._region.hide()
        for line in model_warnings(trained):
            say(self.console, line)

    def joined(self, record: RunRecord) -> None:
        """A run that is going on, or over, will be followed."""
        epochs = record.spec.get("epochs")
        self._following = Following(epochs if isinstance(epochs, int) else None)
        self._resumable = record.kind == "train"
        self._primary = primary_metric(record.task, multi_label=record.data.multi_label)

    def event(self, event: Event) -> None:
        """Take an event; print what a person wants to keep of it."""
        row = self._following.take(event)
        if row is not None:
            say(self.console, self._epoch_line(row))
        if isinstance(event, ProgressEvent):
            self._region.show(self._progress_line)
        elif isinstance(event, LogEvent):
            if event.level in _LEVELS:
                prefix, style = _LEVELS[event.level]
                say(self.console, prefix + event.message, style)
        elif isinstance(event, EstimateEvent):
            self._say_estimate(event)
        elif isinstance(event, WorkerEvent):
            self._say_versions(event)
        elif isinstance(event, ResumedEvent):
            self._say_resumed(event)
        elif isinstance(event, StatusEvent):
            self._take_status(event)

    def stopping(self, run_id: str) -> None:
        """Say that the run was asked to stop."""
        self._stopping = True
        how = ": it ends at its next safe point and leaves a checkpoint" if self._resumable else ""
        say(self.console, f"Stopping {run_id}{how}. Ctrl-C once more ends it at once.", "yellow")

    def ended(self, run: Run) -> None:
        """Say how it ended and what to type next."""
        self._region.hide()
        say_ending(self.console, run)

    def _take_status(self, event: StatusEvent) -> None:
        if event.status == "running":
            self._estimates.forget()
            self._region.show(self._progress_line)
        elif event.status == "pending":
            say(self.console, f"{(event.reason or 'waiting').capitalize()}")
            self._region.show(self._progress_line)
        else:
            self._region.hide()

    def _say_estimate(self, event: EstimateEvent) -> None:
        line = self._estimates.take(event)
        if line is not None:
            say(self.console, line)

    def _epoch_line(self, row: EpochRow) -> Text:
        epochs = self._following.epochs
        head = f"epoch {row.epoch:>{len(str(epochs or 0))}}" + (f"/{epochs}" if epochs else "")
        tail = f"  {duration(row.seconds)}" if row.seconds is not None else ""
        width = min(self.console.width, _LINE) if self.console.is_terminal else _LINE
        limit = width - len(head) - len(tail) - len("  ") - len("  best")
        line = Text.assemble(head, "  ", metrics_line(row.values, self._primary, limit=limit), (tail, "dim"))
        return line.append("  best", "green") if row.best else line

    def _progress_line(self) -> RenderableType:
        at, left = self._following.progress, self._following.seconds_left(time.monotonic())
        remaining = f"{duration(left)} left" if left is not None else ""
        if self._stopping:
            return Text("Stopping at the next safe point" if self._resumable else "Stopping")
        if at is None:
            return bar(self._following.waiting_for, 0, 0, remaining)
        label = f"epoch {at.epoch}/{at.epochs}" if at.epochs else ""
        label = " ".join(part for part in (label, clean(at.phase) if at.phase != "train" else "") if part)
        count = f"{at.step}/{at.steps}" if at.steps else ""
        loss, speed = at.values.get("train_loss"), at.values.get("images_per_second")
        mean = f"loss {metric(loss)}" if loss is not None else ""
        pace = f"{speed:,.{1 if speed < _FEW else 0}f} images/s" if speed else ""
        parts = _losses(at.values)
        for losses in (f"{mean} ({parts})" if parts else mean, mean):
            text = "  ".join(part for part in (count, clean(at.message), losses, pace, remaining) if part)
            if len(label) + len(text) <= self.console.width - _BAR:
                break
        return bar(label, at.step, at.steps, text)

    def _say_versions(self, event: WorkerEvent) -> None:
        if event.worker is not None:
            versions = ", ".join(f"{name} {version}" for name, version in event.worker.versions.items())
            say_field(self.console, "versions", versions)

    def _say_resumed(self, event: ResumedEvent) -> None:
        if event.checkpoint is None:
            say(self.console, "There is no checkpoint: from the beginning.", "yellow")
            return
        say(self.console, f"Resumed from {event.checkpoint}, with {in_epochs(event.epoch)} epochs done.")
        if not event.exact:
            say(self.console, f"Warning: not exactly as without the interruption: {event.reason}", "yellow")


def _losses(values: Mapping[str, float | None]) -> str:
    """What the training loss is made of, by name."""
    named = ((LOSS_PART.fullmatch(name), value) for name, value in values.items())
    return ", ".join(
        f"{found[2]} {value:,.{2 if value < _LARGE else 0}f}"
        for found, value in named
        if found is not None and value is not None
    )
