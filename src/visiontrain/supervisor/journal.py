"""The run's record and its events, kept in step: the only writer of ``run.json`` and ``events.jsonl``."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path

from visiontrain.protocol.events import MetricsEvent, Status, StatusEvent, WorkerEvent
from visiontrain.protocol.messages import InitializeResult
from visiontrain.protocol.structure import JsonObject, structure
from visiontrain.supervisor.events import EventLog
from visiontrain.supervisor.inbox import RawEvents
from visiontrain.supervisor.link import HostLink
from visiontrain.supervisor.outcome import Outcome
from visiontrain.supervisor.record import CheckpointRecord, RunRecord, now, write_record

__all__ = ["Journal"]


class Journal:
    """Takes what happens, writes it down, and tells the host that there is more to read.

    Args:
        run_dir: The run's folder.
        record: The record as the attempt finds it.
        link: The way to the host.
    """

    def __init__(self, run_dir: Path, record: RunRecord, link: HostLink) -> None:
        self.record = dataclasses.replace(
            record, started_at=now(), ended_at=None, reason=None, error=None, supervisor_pid=os.getpid()
        )
        self._path = run_dir / "run.json"
        self._link = link
        self._events = EventLog(run_dir / "events.jsonl", record.run_id)
        self._epoch: MetricsEvent | None = None  # the last epoch's row
        self._changed = False

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
        if any(value["type"] == "progress" for value in events.values):
            for line, value in zip(events.lines.split(b"\n"), events.values, strict=True):
                if value["type"] == "progress":
                    self._link.progress(line)
                else:
                    self._events.append(line)
        else:
            self._events.append(events.lines)
        for value in events.values:
            if value["type"] == "metrics" and value.get("scope") == "epoch":
                self._epoch = structure(MetricsEvent, value)
            elif value["type"] == "checkpoint":
                self._take_checkpoint(value)

    def flush(self) -> None:
        """Write down what was taken."""
        grew = self._events.flush()
        if self._changed:
            self._save()
        if grew:
            self._link.grew()

    def finish(self, outcome: Outcome) -> None:
        """Write the attempt's end."""
        self.record = dataclasses.replace(
            self.record,
            status=outcome.status,
            reason=outcome.reason,
            error=outcome.error,
            metrics=outcome.metrics or self.record.metrics,
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
        )
        # A full disk takes the event, not the record with it: replacing that needs a few hundred bytes.
        with contextlib.suppress(OSError):
            self._events.close()
        self._save()
        self._link.grew()

    def _take_checkpoint(self, value: JsonObject) -> None:
        found = structure(CheckpointRecord, value)
        if value.get("kind") == "best":
            # The best weights and their metrics go together, however the attempt ends.
            metrics = self._epoch.values if self._epoch else {}
            self.record = dataclasses.replace(self.record, best=found, metrics=metrics)
        else:
            self.record = dataclasses.replace(self.record, last=found)
        self._changed = True

    def _save(self) -> None:
        write_record(self._path, self.record)
        self._changed = False
