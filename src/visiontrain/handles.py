"""A run as a person holds it, whether it goes on or is over. `visiontrain.following` goes along with one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from visiontrain.errors import RunError, RunInterruptedError, VisiontrainError, WorkerCrashedError
from visiontrain.exports import Export
from visiontrain.predictions import Prediction
from visiontrain.protocol.events import Status
from visiontrain.report.facts import metrics_of
from visiontrain.report.page import write_report
from visiontrain.rundir.directory import is_being_worked_on, read_current_record
from visiontrain.rundir.history import HistoryRow, read_history
from visiontrain.runners.connection import remote_error
from visiontrain.supervisor.process import tail
from visiontrain.supervisor.record import RunRecord
from visiontrain.supervisor.wishes import Wish, ask
from visiontrain.tracking.told import Tracking, read_tracking

__all__ = ["Actions", "Run"]


class Actions(Protocol):
    """What is done with a run: a session."""

    def resume_to_end(self, run: str, *, epochs: int | None, progress: bool) -> Run:
        """Go on with a training."""

    def evaluate(self, run: str, data: str | os.PathLike[str] | None, *, progress: bool, **options: Any) -> Run:
        """Measure its model."""

    def iter_predict(self, run: str, images: Any, *, progress: bool, **options: Any) -> Iterator[Prediction]:
        """Ask its model about images."""

    def export(self, run: str, format: str, *, progress: bool, **options: Any) -> Export:  # noqa: A002
        """Write its model for other programs."""


class Run:
    """A run as its folder shows it. Every property reads anew, so a `Run` is never out of date."""

    def __init__(self, run_dir: Path, actions: Actions) -> None:
        self.run_dir = run_dir
        self._actions = actions

    def __repr__(self) -> str:
        if not self.is_readable:
            return f"<Run {self.run_id}, unreadable>"
        return f"<Run {self.run_id} {self.record.model} {self.status}>"

    @property
    def run_id(self) -> str:
        """The run's id, which is its folder's name."""
        return self.run_dir.name

    @property
    def record(self) -> RunRecord:
        """All that is known of the run: spec, data, environment, versions."""
        return read_current_record(self.run_dir)

    @property
    def is_readable(self) -> bool:
        """Whether its record can be read: its folder may have been removed, or its disk may fail."""
        try:
            return bool(self.record)
        except VisiontrainError:
            return False

    @property
    def status(self) -> Status:
        """pending, running, completed, failed, stopped or interrupted."""
        return self.record.status

    @property
    def metrics(self) -> dict[str, float]:
        """By canonical names: the best epoch's by the primary metric, or the last epoch's before the end."""
        return metrics_of(self.record, lambda: self.history)

    @property
    def history(self) -> list[HistoryRow]:
        """One row an epoch: ``epoch`` (from 1), ``step``, and the metrics by their canonical names."""
        return read_history(self.run_dir)

    @property
    def best_checkpoint(self) -> Path | None:
        """The best epoch's weights."""
        return self._checkpoint("best")

    @property
    def last_checkpoint(self) -> Path | None:
        """The state that `resume` goes on from."""
        return self._checkpoint("last")

    @property
    def tracking(self) -> Tracking | None:
        """Where the run is tracked and how far that is; None: nowhere."""
        return read_tracking(self.run_dir)

    def report(self) -> Path:
        """Write the run's page as it stands, ``report.html`` in its folder, and give the file.

        It is one file without scripts, which a browser shows without a network. At the end of a run that this program
        started it is written by itself.

        Raises:
            StorageError: the disk does not take it.
        """
        return write_report(self.run_dir)

    @property
    def log(self) -> str:
        """The end of what the worker printed, at most 1 MiB."""
        return tail(self.run_dir / "worker.log", lines=1 << 20, limit=1 << 20)

    def resume(self, *, epochs: int | None = None, progress: bool = True) -> Run:
        """Go on from the last checkpoint, and give the run at its end. `Session.resume` does not wait for that.

        Args:
            epochs: A new total of epochs, to go on with a run that is completed.
            progress: Show what goes on, on stderr.
        """
        return self._actions.resume_to_end(self.run_id, epochs=epochs, progress=progress)

    def evaluate(self, data: str | os.PathLike[str] | None = None, *, progress: bool = True, **options: Any) -> Run:
        """Measure the model, and give the evaluation's run: its `metrics` are the numbers. See `Session.evaluate`.

        Args:
            data: A dataset; by default the training's.
            progress: Show what goes on, on stderr.
            options: Fields of `EvaluateSpec`: split, checkpoint, batch_size, device, skip_unreadable.
        """
        return self._actions.evaluate(self.run_id, data, progress=progress, **options)

    def predict(self, images: Any, *, progress: bool = True, **options: Any) -> list[Prediction]:
        """What the model says of images; the second call costs little more than the computing.

        Args:
            images: A path, a folder, a PIL image, an array (height x width x 3, uint8, RGB), or any number of them.
            progress: Show how far it is, on stderr.
            options: Fields of `PredictSpec`: checkpoint, batch_size, device, confidence, skip_unreadable.
        """
        return list(self._actions.iter_predict(self.run_id, images, progress=progress, **options))

    def iter_predict(self, images: Any, *, progress: bool = False, **options: Any) -> Iterator[Prediction]:
        """`predict`, one after the other, in memory that does not grow with their number."""
        return self._actions.iter_predict(self.run_id, images, progress=progress, **options)

    def export(self, format: str = "onnx", *, progress: bool = True, **options: Any) -> Export:  # noqa: A002 - as --format
        """Write the model for other programs, and check what was written on images of the data. See `Session.export`.

        Args:
            format: onnx, torchscript, or what else the framework offers.
            progress: Show what goes on, on stderr.
            options: Fields of `ExportSpec`: output, checkpoint, tolerance, images.
        """
        return self._actions.export(self.run_id, format, progress=progress, **options)

    def stop(self) -> None:
        """Ask the run to end at its next safe point, leaving a resumable checkpoint; whichever process started it."""
        _ask(self.run_dir, "stop")

    def kill(self) -> None:
        """End the run at once, whichever process started it; what was done since its last checkpoint is lost."""
        _ask(self.run_dir, "kill")

    def raise_for_status(self) -> Run:
        """Raise the error of a run that failed or was interrupted; else give the run itself.

        Raises:
            RunFailedError, WorkerCrashedError, RunInterruptedError: what happened, and how to go on. An error that the
                worker raised as one of `visiontrain.errors` is raised as itself.
        """
        record = self.record
        go_on = f"Go on from its last checkpoint: visiontrain resume {self.run_id}" if record.last else None
        if record.kind != "train" and record.status == "interrupted":
            go_on = f"Start it again: visiontrain {record.kind} {record.parent}"
        if record.status == "interrupted":
            reason = f"the run {self.run_id} was interrupted: {record.reason}"
            raise RunInterruptedError(reason, instruction=go_on, run_id=self.run_id)
        if record.status == "failed":
            raise _failure(record, go_on)
        return self

    def _checkpoint(self, kind: str) -> Path | None:
        record = self.record
        found = record.best if kind == "best" else record.last
        return self.run_dir / found.path if found else None


def _ask(run_dir: Path, wish: Wish) -> None:
    """Ask the run's supervisor; a run that nobody works on is left as it is."""
    if is_being_worked_on(run_dir):
        ask(run_dir, wish)


def _failure(record: RunRecord, go_on: str | None) -> VisiontrainError:
    error = record.error
    if error is None:
        return RunError(f"the run {record.run_id} failed", instruction=go_on, run_id=record.run_id)
    instruction = " ".join(part for part in (error.instruction, go_on) if part) or None
    made = remote_error(replace(error, instruction=instruction), run_id=record.run_id)
    if isinstance(made, WorkerCrashedError):
        made.reason = f"the run {record.run_id} failed: {made.reason}"
    return made
