"""A training from its first batch to its end."""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from visiontrain.errors import VisiontrainError
from visiontrain.handles import Run
from visiontrain.protocol.events import CheckpointEvent, Event, MetricsEvent, ProgressEvent
from visiontrain.protocol.metrics import is_canonical
from visiontrain.protocol.tasks import PRIMARY_METRIC
from visiontrain.testing.checks.case import Case, expect, to_the_end
from visiontrain.testing.laboratory import Laboratory, Trial

__all__ = ["Finished", "Training", "finish"]


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its events, and the files that were there before it and after it."""

    run: Run
    trial: Trial
    events: tuple[Event, ...]
    before: dict[str, tuple[int, int]]
    after: dict[str, tuple[int, int]]

    def of(self, kind: type[Any]) -> list[Any]:
        """Its events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


class Training(Case):
    """One training, looked at from all sides."""

    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, laboratory: Laboratory, data: Path) -> Finished:
        """A training that nobody disturbed."""
        before = laboratory.files(data)
        trial = laboratory.start(data, **cls.request())
        events = to_the_end(trial, within=cls.patience)
        return Finished(trial.handle.run, trial, events, before, laboratory.files(data))

    def test_training_completes(self, finished: Finished) -> None:
        """Every epoch has one row, and the run says so."""
        finish(finished.run)
        rows = [int(row["epoch"]) for row in finished.run.history]
        expected = list(range(1, self.epochs + 1))
        expect(rows == expected, f"context.metrics(..., scope='epoch') told of the epochs {rows}, not {expected}")
        told = [event.epoch for event in finished.of(MetricsEvent) if event.scope == "epoch"]
        expect(told == sorted(told), f"epochs were told in the order {told}")

    def test_progress_is_reported(self, finished: Finished) -> None:
        """There is some while it trains, and its numbers fit each other."""
        progress: list[ProgressEvent] = finished.of(ProgressEvent)
        training = [event for event in progress if event.phase == "train"]
        expect(training != [], "context.progress('train', ...) was never called: nobody sees how far it is")
        for event in progress:
            fits = 0 <= event.step <= event.steps or event.steps == 0
            expect(fits, f"progress says batch {event.step} of {event.steps} of the phase {event.phase}")
        for event in training:
            fits = 1 <= event.epoch <= self.epochs and event.epochs == self.epochs
            expect(fits, f"progress says epoch {event.epoch} of {event.epochs}; asked for were {self.epochs}")

    def test_metrics_have_their_canonical_names(self, finished: Finished) -> None:
        """So that runs of different frameworks can be compared."""
        task = self.the_task()
        names = {name for event in finished.of(MetricsEvent) for name in event.values} | set(finished.run.metrics)
        foreign = [
            name
            for name in sorted(names)
            if not is_canonical(name, task) and not any(fnmatch.fnmatchcase(name, own) for own in self.own_metrics)
        ]
        expect(
            not foreign,
            f"{', '.join(foreign)}: not canonical names of metrics for {task}. Rename them, or list those that have no "
            "canonical name in own_metrics.",
        )

    def test_the_primary_metric_is_in_every_epoch(self, finished: Finished) -> None:
        """It picks the best checkpoint."""
        primary = PRIMARY_METRIC[self.the_task()]
        for row in finished.run.history:
            value = row.get(primary)
            if value is None:
                pytest.fail(f"the metrics of epoch {row['epoch']:g} lack {primary}", pytrace=False)
            fits = math.isnan(value) or 0 <= value <= 1
            expect(fits, f"{primary} is {value} in epoch {row['epoch']:g}; it goes from 0 to 1")

    def test_the_result_is_the_best_epoch_s(self, finished: Finished) -> None:
        """`TrainResult.metrics` and the checkpoint of kind best belong to the epoch with the highest primary metric."""
        primary = PRIMARY_METRIC[self.the_task()]
        values = [row.get(primary, math.nan) for row in finished.run.history]
        best = max((value for value in values if not math.isnan(value)), default=None)
        if best is None:
            pytest.fail(f"no epoch has a {primary}", pytrace=False)
        got = finished.run.metrics.get(primary)
        expect(got == best, f"the result's {primary} is {got}; the best epoch's is {best}")
        saved: list[CheckpointEvent] = [event for event in finished.of(CheckpointEvent) if event.kind == "best"]
        if saved:
            epoch = values.index(best) + 1
            expect(saved[-1].epoch == epoch, f"the best checkpoint is of epoch {saved[-1].epoch:g}, not of {epoch}")

    def test_checkpoints_lie_in_the_run_s_folder(self, finished: Finished) -> None:
        """One of kind best, and one of kind last that holds all epochs."""
        run = finished.run
        for kind, path in (("best", run.best_checkpoint), ("last", run.last_checkpoint)):
            if path is None:
                pytest.fail(f"context.checkpoint(..., kind={kind!r}) was never called", pytrace=False)
            expect(path.is_file() and path.stat().st_size > 0, f"the {kind} checkpoint {path} is not there, or empty")
            inside = path.resolve().is_relative_to(run.run_dir.resolve())
            expect(inside, f"the {kind} checkpoint {path} is outside of the run's folder")
        last = run.record.last
        epochs = None if last is None else last.epoch
        expect(epochs == self.epochs, f"the last checkpoint says that {epochs} epochs are done, not {self.epochs}")
        unsaid = [event for event in finished.of(CheckpointEvent) if not event.exact and not event.reason]
        expect(not unsaid, "a checkpoint says exact=False without a reason")

    def test_noise_does_not_break_the_protocol(self, start: Any, finished: Finished) -> None:
        """What is printed beside the training, by it and its children, goes to the log alone."""
        finish(finished.run)
        trial = start(noise=True)
        to_the_end(trial, within=self.patience)
        finish(trial.handle.run)
        rows, quiet = trial.handle.run.history, finished.run.history
        expect([row["epoch"] for row in rows] == [row["epoch"] for row in quiet], f"epochs were lost: {rows}")


def finish(run: Run) -> None:
    """Fail with the run's own error where it did not complete."""
    said: str | None = None
    try:
        run.raise_for_status()
    except VisiontrainError as error:
        said = str(error)
    expect(said is None, f"the training did not complete: {said}")
    expect(run.status == "completed", f"the training ended as {run.status}: {run.record.reason}")
