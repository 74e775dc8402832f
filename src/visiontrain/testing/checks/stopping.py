"""Stopping leaves a checkpoint, resuming goes on from it, and the result is that of an uninterrupted training."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from visiontrain.protocol.events import CheckpointEvent, Event, MetricsEvent, ResumedEvent
from visiontrain.testing.checks.case import expect, to_the_end, until
from visiontrain.testing.checks.contents import checkpoint_contents
from visiontrain.testing.checks.training import Finished, Training, finish
from visiontrain.testing.laboratory import Laboratory, Trial

__all__ = ["Stopping"]


class Stopping(Training):
    """Stop and resume, at moments that the kit decides."""

    @pytest.mark.parametrize(
        "moment", ["start", "mid-epoch", "metrics"], ids=["at-the-start", "in-an-epoch", "after-an-epoch"]
    )
    def test_a_stopped_training_goes_on(
        self, moment: Any, start: Any, laboratory: Laboratory, finished: Finished
    ) -> None:
        """A stop leaves a checkpoint; resumed from it, the training gives what it would have given undisturbed."""
        trial = _held(start, moment, within=self.patience)
        events = self._stop(trial)
        saved = [event for event in events if isinstance(event, CheckpointEvent) and event.kind == "last"]
        expect(saved != [], "stopping left no checkpoint of kind last")
        last = trial.handle.run.last_checkpoint
        expect(last is not None and last.is_file(), f"the checkpoint that stopping told of is not there: {last}")
        if moment == "mid-epoch":
            told = saved[-1].epoch
            expect(1 < told < 2, f"stopped in the middle of epoch 2, the checkpoint says that {told:g} epochs are done")  # noqa: PLR2004
        self._goes_on(laboratory, trial, finished, step=saved[-1].step)

    def test_a_killed_training_goes_on(self, start: Any, laboratory: Laboratory, finished: Finished) -> None:
        """From its last checkpoint, or from the beginning, to the same result."""
        trial = _held(start, "mid-epoch", within=self.patience)
        worker = trial.handle.run.record.worker
        assert worker is not None  # noqa: S101 - it has told of its progress
        os.kill(worker.pid, signal.SIGKILL)
        to_the_end(trial, within=self.patience)
        last = trial.handle.run.record.last
        self._goes_on(laboratory, trial, finished, step=last.step if last else 0)

    def test_a_damaged_checkpoint_is_not_trusted(self, start: Any, laboratory: Laboratory, finished: Finished) -> None:
        """One that is cut short is told, or passed over for an earlier one; the result is never another one."""
        trial = _held(start, "mid-epoch", within=self.patience)
        self._stop(trial)
        last = trial.handle.run.last_checkpoint
        if last is None:
            pytest.fail("stopping left no checkpoint of kind last", pytrace=False)
        whole = last.read_bytes()
        last.write_bytes(whole[: len(whole) // 2])
        resumed = laboratory.resume(trial)
        to_the_end(resumed, within=self.patience)
        record = resumed.handle.run.record
        if record.status == "failed":
            died = record.error is None or record.error.type == "WorkerCrashedError"
            expect(not died, f"the worker broke on a checkpoint that is cut short: {record.reason}")
            return
        finish(resumed.handle.run)
        if self.exact:
            self._is_the_same(laboratory, resumed.handle.run, finished)

    def _stop(self, trial: Trial) -> tuple[Event, ...]:
        trial.handle.stop()
        events = to_the_end(trial, within=self.patience)
        record = trial.handle.run.record
        expect(
            record.status == "stopped" and record.reason == "asked to stop",
            f"asked to stop, the training ended as {record.status} ({record.reason}). Look at context.stop_requested "
            "before every batch, write a checkpoint, and return TrainResult('stopped', ...).",
        )
        return events

    def _goes_on(self, laboratory: Laboratory, trial: Trial, finished: Finished, *, step: int) -> None:
        finish(finished.run)
        resumed = laboratory.resume(trial)
        events = to_the_end(resumed, within=self.patience)
        run = resumed.handle.run
        finish(run)
        said = [number for number, event in enumerate(events) if isinstance(event, ResumedEvent)]
        expect(len(said) == 1, f"context.resumed() was called {len(said)} times by the resumed training, not once")
        (beginning,) = (event for event in events if isinstance(event, ResumedEvent))
        expect(
            beginning.step == step,
            f"the checkpoint was written at step {step}, and the resumed training begins at step {beginning.step}",
        )
        early = [event for event in events[: said[0]] if isinstance(event, MetricsEvent)]
        expect(not early, "metrics were told before context.resumed(): they would count for what is done again")
        rows = [row["epoch"] for row in run.history]
        expect(rows == [row["epoch"] for row in finished.run.history], f"after the resume, the history has {rows}")
        inexact = [
            event
            for event in (*finished.events, *events)
            if isinstance(event, CheckpointEvent | ResumedEvent) and not event.exact
        ]
        if not self.exact:
            expect(inexact != [], "exact = False is for plugins whose checkpoints say so: this one claims to be exact")
            return
        expect(
            not inexact,
            f"a checkpoint or a resume says that it is not exact ({inexact[0].reason if inexact else ''}); if that "
            "must be so, set exact = False",
        )
        self._is_the_same(laboratory, run, finished)

    def _is_the_same(self, laboratory: Laboratory, run: Any, finished: Finished) -> None:
        for ours, theirs in zip(run.history, finished.run.history, strict=True):
            differ = [
                f"{name} {theirs.get(name)} -> {ours.get(name)}"
                for name in sorted({*ours, *theirs})
                if repr(ours.get(name)) != repr(theirs.get(name)) and not self.varies(name)
            ]
            expect(
                not differ,
                f"epoch {theirs['epoch']:g} of the interrupted training differs from the uninterrupted one's, though "
                f"it is said to be exact: {', '.join(differ)}. All that the training depends on must be "
                "in its checkpoint, or follow from params.seed.",
            )
        paths = [path for made in (run, finished.run) for path in (made.best_checkpoint, made.last_checkpoint)]
        ours_best, ours_last, best, last = checkpoint_contents(laboratory, paths)
        for kind, resumed, whole in (("best", ours_best, best), ("last", ours_last, last)):
            differ = [
                name
                for name in sorted({*resumed, *whole})
                if resumed.get(name) != whole.get(name) and not self.varies(name)
            ]
            expect(
                not differ,
                f"the {kind} checkpoint of the interrupted training differs from the uninterrupted one's in "
                f"{len(differ)} of {len(whole)} values, though it is said to be exact: {', '.join(differ[:10])}. "
                "Values that are measured anew (seconds) belong into `varying`.",
            )


def _held(start: Any, moment: Any, *, within: float) -> Trial:
    trial: Trial = start(hold=moment)
    if not until(lambda: trial.is_held, trial, within=within):
        missing = {
            "mid-epoch": "context.progress('train', epoch=..., step=..., steps=...) was not called between two batches "
            "of the second epoch",
            "metrics": "context.metrics(...) was not called for an epoch",
            "start": "the training did not begin",
        }[moment]
        record = trial.handle.run.record
        if record.status == "failed":
            finish(trial.handle.run)
        pytest.fail(f"{missing}; the run is {record.status} ({record.reason})", pytrace=False)
    return trial
