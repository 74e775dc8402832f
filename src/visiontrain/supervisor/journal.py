"""The run's record and its events, kept in step: the only writer of ``run.json`` and ``events.jsonl``."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path

from visiontrain.errors import RunFailedError, StorageError
from visiontrain.protocol.events import MetricsEvent, Status, StatusEvent, WorkerEvent
from visiontrain.protocol.messages import InitializeResult
from visiontrain.protocol.structure import JsonObject, structure
from visiontrain.storage import refused
from visiontrain.supervisor.events import EventLog
from visiontrain.supervisor.inbox import RawEvents
from visiontrain.supervisor.link import HostLink
from visiontrain.supervisor.outcome import Outcome, describe
from visiontrain.supervisor.record import RECORD, CheckpointRecord, RunRecord, discard_unfinished, now, write_record

__all__ = ["Journal"]

#: A file of this name keeps room on the disk. It is given up when the disk is full: so the last epochs, whose
#: checkpoints are there already, and the reason for the end still fit.
RESERVE_FILE = ".reserve"

#: Bytes; an epoch's row with metrics for each of a thousand classes takes a third of it.
RESERVE = 1 << 18

#: How often it is seen to that the run's folder is still there, in seconds. Not at each flush: there may be thousands.
CHECK = 0.2


class Journal:
    """Takes what happens, writes it down, and tells the host that there is more to read.

    Args:
        run_dir: The run's folder.
        record: The record as the attempt finds it.
        link: The way to the host.

    Raises:
        OSError: the disk has no room for a run, or does not take one.
    """

    def __init__(self, run_dir: Path, record: RunRecord, link: HostLink) -> None:
        self.record = dataclasses.replace(
            record, started_at=now(), ended_at=None, reason=None, error=None, supervisor_pid=os.getpid()
        )
        self._path = run_dir / RECORD
        discard_unfinished(self._path)
        self._link = link
        self._events = EventLog(run_dir / "events.jsonl", record.run_id)
        self._reserve = run_dir / RESERVE_FILE
        try:
            self._reserve.write_bytes(os.urandom(RESERVE))  # zeros take no room where a file system compresses
        except OSError:
            self._give_up_reserve()
            raise
        self._epoch: MetricsEvent | None = None  # the last epoch's row
        self._changed = False
        self._checked = 0.0  # when the folder was last seen, on the monotonic clock
        #: Why something could not be written down, the first time; what it was is kept, and tried again.
        self.refusal: StorageError | None = None

    def tell(self, status: Status, reason: str | None = None) -> None:
        """The status is another one from now on: whoever reads of it finds it in the record."""
        self.record = dataclasses.replace(self.record, status=status, reason=reason)
        self._events.emit(StatusEvent, status=status, attempt=self.record.attempt, reason=reason)
        self._changed = True
        self.flush()

    def take_worker(self, worker: InitializeResult) -> None:
        """The worker has said what it is."""
        self.record = dataclasses.replace(self.record, worker=worker)
        self._events.emit(WorkerEvent, worker=worker)
        self._changed = True

    def take(self, events: RawEvents) -> None:
        """Keep the worker's events; progress is passed on and not kept."""
        value = events.value
        if value is not None and value["type"] == "progress":
            self._link.progress(events.lines)
            return
        self._events.append(events.lines)
        if value is not None and value["type"] == "checkpoint":
            self._take_checkpoint(value)
        elif value is not None and value["type"] == "metrics" and value.get("scope") != "step":
            self._epoch = structure(MetricsEvent, value)

    def flush(self) -> bool:
        """Write down what was taken. False where the disk does not take all of it; `refusal` says why.

        Raises:
            RunFailedError: the run's folder was removed: there is nothing to write to.
        """
        if self._changed or time.monotonic() > self._checked + CHECK:
            self._check_folder()
        try:
            grew = self._events.flush()
            if self._changed:
                self._save()
        except OSError as error:
            self._check_folder()
            self.refusal = self.refusal or refused("the run's record and events can't be kept", error)
            self._give_up_reserve()
            return False
        if grew:
            self._link.grew()
        return True

    def finish(self, outcome: Outcome) -> None:
        """Write the attempt's end; what the disk does not take of it is told to the host."""
        is_there = self._events.is_in_place
        if not is_there:  # whatever else the worker failed of
            outcome = Outcome.failed(describe(self._removed()))
        if self.refusal is not None and is_there and not (self.flush() and outcome.status == "completed"):
            outcome = Outcome.failed(describe(self.refusal))
        self.record = dataclasses.replace(
            self.record,
            status=outcome.status,
            reason=outcome.reason,
            error=outcome.error,
            metrics=outcome.metrics or self.record.metrics,
            non_finite=outcome.non_finite if outcome.metrics else self.record.non_finite,
            ended_at=now(),
            supervisor_pid=None,
        )
        self._events.emit(
            StatusEvent,
            status=outcome.status,
            attempt=self.record.attempt,
            reason=outcome.reason,
            error=outcome.error,
            metrics=outcome.metrics,
            non_finite=outcome.non_finite,
        )
        self._give_up_reserve()
        with contextlib.suppress(OSError):  # the record matters more, and is tried below
            self._events.close()
        if is_there:
            try:
                self._save()
            except OSError as error:
                failure = refused(f"the run has ended ({outcome.status}), but its record can't be kept", error)
                self._link.last_word(outcome.error or describe(failure))
        elif outcome.error is not None:
            self._link.last_word(outcome.error)
        self._link.grew()

    def _give_up_reserve(self) -> None:
        with contextlib.suppress(OSError):
            self._reserve.unlink()

    def _check_folder(self) -> None:
        self._checked = time.monotonic()
        if not self._events.is_in_place:
            raise self._removed()

    def _removed(self) -> RunFailedError:
        return RunFailedError(
            f"the run's folder {self._path.parent} was removed or moved while the run was going on, which ended it",
            instruction="Start a new run, and leave its folder until it has ended.",
        )

    def _take_checkpoint(self, value: JsonObject) -> None:
        found = structure(CheckpointRecord, value)
        if value.get("kind") == "best":
            # The best weights and their metrics go together, however the attempt ends.
            epoch = self._epoch
            metrics, non_finite = (epoch.values, epoch.non_finite) if epoch else ({}, {})
            self.record = dataclasses.replace(self.record, best=found, metrics=metrics, non_finite=non_finite)
        else:
            self.record = dataclasses.replace(self.record, last=found)
        self._changed = True

    def _save(self) -> None:
        write_record(self._path, self.record)
        self._changed = False
