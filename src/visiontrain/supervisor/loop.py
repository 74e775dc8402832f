"""One attempt at a run, from the worker's start to the last event."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path
from typing import Literal

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import encode
from visiontrain.protocol.events import MetricsEvent, Status, StatusEvent, WorkerEvent
from visiontrain.protocol.messages import (
    ErrorInfo,
    InitializeParams,
    InitializeResult,
    Notification,
    Request,
    Response,
    TrainResult,
)
from visiontrain.protocol.structure import JsonObject, structure, unstructure
from visiontrain.protocol.version import PROTOCOL_VERSION
from visiontrain.supervisor.events import EventLog
from visiontrain.supervisor.inbox import Inbox, RawEvents
from visiontrain.supervisor.launch import Launch
from visiontrain.supervisor.link import HostLink
from visiontrain.supervisor.process import death_in_words, kill_descendants, reap, spawn_worker, tail
from visiontrain.supervisor.record import CheckpointRecord, now, write_record

__all__ = ["STOP_FILE", "Supervisor"]

#: A file of this name in a run's folder asks the run to stop; its content is a word on who asks.
STOP_FILE = "stop"

#: How often the stop file is looked for, in seconds.
TICK = 0.2

#: How long events are let come together before they are taken, in seconds.
BATCH = 0.0007

INITIALIZE, TRAIN, SHUTDOWN = 1, 2, 3

Step = Literal["flag", "interrupt", "kill"]


@dataclasses.dataclass
class _Stop:
    """A stop under way: why, what the run's status will be, and when the next step is due."""

    status: Status
    reason: str
    step: Step
    deadline: float
    patience: float  # seconds for the interrupt, once it was sent


class Supervisor:
    """Drives one worker through one request and keeps the record."""

    def __init__(self, launch: Launch, link: HostLink, wakeup: int) -> None:
        self.launch = launch
        self.run_dir = Path(launch.run_dir)
        self.record = dataclasses.replace(
            launch.record,
            status="running",
            started_at=now(),
            ended_at=None,
            reason=None,
            error=None,
            supervisor_pid=os.getpid(),
        )
        self.link = link
        self.wakeup = wakeup
        self.events = EventLog(self.run_dir / "events.jsonl", self.record.run_id)
        self.attached = not launch.detached
        self.terminated = False  # SIGTERM has come
        self._worker: subprocess.Popen[bytes] | None = None
        self._exit_status: int | None = None
        self._stop: _Stop | None = None
        self._response: Response | None = None
        self._result: TrainResult | None = None
        self._epoch: MetricsEvent | None = None  # the last epoch's row
        self._selector = selectors.DefaultSelector()
        self._record_changed = False

    def begin(self) -> None:
        """Write the record: whoever is told that the run has started finds it running."""
        with contextlib.suppress(FileNotFoundError):
            (self.run_dir / STOP_FILE).unlink()  # meant for an earlier attempt
        self.events.emit(StatusEvent, status="running", attempt=self.record.attempt)
        self.events.flush()
        self._save()

    def run(self) -> None:
        """Start the worker, follow it to its end, leave nothing behind."""
        try:
            self._follow_worker()
        except ProtocolError as error:
            self._response = Response(TRAIN, error=ErrorInfo(0, f"protocol error: {error}", "ProtocolError"))
        except OSError as error:  # the worker's program is missing, the disk is full...
            self._response = Response(TRAIN, error=ErrorInfo(0, str(error), type(error).__name__))
        kill_descendants()
        self._finish()

    # -- the worker -------------------------------------------------------------------------------------------------

    def _follow_worker(self) -> None:
        with (self.run_dir / "worker.log").open("ab") as log:
            self._worker = spawn_worker(self.launch.command, cwd=self.run_dir, log=log.fileno())
        assert self._worker.stdin and self._worker.stdout  # noqa: S101, PT018 - they are pipes
        inbox = Inbox(self._worker.stdout.fileno(), self.record.run_id)
        self._selector.register(inbox.fd, selectors.EVENT_READ)
        self._selector.register(self.wakeup, selectors.EVENT_READ)
        if self.link.connection is not None:
            self._selector.register(self.link.connection, selectors.EVENT_READ)
        initialize = InitializeParams(PROTOCOL_VERSION, self.launch.command.trainer, self.record.run_id)
        self._request(INITIALIZE, "initialize", initialize)
        while self._response is None and self._exit_status is None:
            self._wait()
            if self._take(inbox) and inbox.drained:
                # What comes next is taken together: looking after each event costs more than the events do.
                time.sleep(BATCH)
            self._advance_stop()
        if self._exit_status is None:
            self._shut_down(inbox)
        self._drain(inbox)

    def _wait(self) -> None:
        ready = {key.fd for key, _ in self._selector.select(TICK)}
        if self.wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wakeup, 4096)
        self._reap()
        if self.link.connection is not None and self.link.connection.fileno() in ready:
            self._obey_host()
        if self.terminated and self._stop is None:
            self._begin_stop("stopped", "SIGTERM to its supervisor", self.launch.deadlines.stop)
        if self._stop is None and (self.run_dir / STOP_FILE).exists():
            self._begin_stop("stopped", "asked to stop", self.launch.deadlines.stop)

    def _reap(self) -> None:
        ended = reap()
        if self._worker is not None and self._worker.pid in ended:
            self._exit_status = ended[self._worker.pid]
            self._worker.returncode = os.waitstatus_to_exitcode(self._exit_status)

    def _take(self, inbox: Inbox) -> bool:
        messages = inbox.read()
        for message in messages:
            if isinstance(message, RawEvents):
                self._take_events(message)
            else:
                self._take_response(message)
        if inbox.ended and inbox.fd in self._selector.get_map():
            self._selector.unregister(inbox.fd)
        if self.events.flush():
            self.link.grew()
        if self._record_changed:
            self._save()
        return bool(messages)

    def _drain(self, inbox: Inbox) -> None:
        """Take what the worker wrote before its end, which is the process's, not the pipe's: children may hold that."""
        while not inbox.ended:
            before = inbox.received
            self._take(inbox)
            if inbox.received == before:
                return

    def _take_events(self, events: RawEvents) -> None:
        if any(value["type"] == "progress" for value in events.values):
            for line, value in zip(events.lines.split(b"\n"), events.values, strict=True):
                if value["type"] == "progress":
                    self.link.progress(line)
                else:
                    self.events.append(line)
        else:
            self.events.append(events.lines)
        for value in events.values:
            if value["type"] == "metrics" and value.get("scope") == "epoch":
                self._epoch = structure(MetricsEvent, value)
            elif value["type"] == "checkpoint":
                self._take_checkpoint(value)

    def _take_checkpoint(self, value: JsonObject) -> None:
        found = structure(CheckpointRecord, value)
        if value.get("kind") == "best":
            # The best weights and their metrics go together, however the attempt ends.
            metrics = self._epoch.values if self._epoch else {}
            self.record = dataclasses.replace(self.record, best=found, metrics=metrics)
        else:
            self.record = dataclasses.replace(self.record, last=found)
        self._record_changed = True

    def _take_response(self, response: Response) -> None:
        if response.id == INITIALIZE and response.error is None:
            worker = structure(InitializeResult, response.result)
            self.record = dataclasses.replace(self.record, worker=worker)
            self.events.emit(WorkerEvent, worker=worker)
            self._record_changed = True
            self._request(TRAIN, self.record.kind, self.launch.params)
        elif response.id in (INITIALIZE, TRAIN) or response.error is not None:
            if response.error is None:
                self._result = structure(TrainResult, response.result)
            self._response = response

    def _request(self, number: int, method: str, params: object) -> None:
        self._send(encode(Request(number, method, unstructure(params))))

    def _send(self, line: bytes) -> None:
        assert self._worker and self._worker.stdin  # noqa: S101, PT018 - started with a pipe
        # A worker that is gone is learnt from its exit status.
        with contextlib.suppress(BrokenPipeError):
            self._worker.stdin.write(line)

    def _shut_down(self, inbox: Inbox) -> None:
        self._send(encode(Request(SHUTDOWN, "shutdown")))
        deadline = time.monotonic() + self.launch.deadlines.shutdown
        while self._exit_status is None and time.monotonic() < deadline:
            self._wait()
            self._take(inbox)

    # -- stopping in steps ------------------------------------------------------------------------------------------

    def _obey_host(self) -> None:
        connection = self.link.connection
        for command in self.link.receive():
            if command == "detach":
                self.attached = False
            elif command == "stop" and self._stop is None:
                self._begin_stop("stopped", "asked to stop", self.launch.deadlines.stop)
            elif command == "kill":
                self._begin_stop("stopped", "asked to end at once", 0.0, interrupt=1.0)
        if self.link.connection is None and connection is not None:
            self._selector.unregister(connection)
            if self.attached and self._stop is None:
                patience = self.launch.deadlines.host_gone
                self._begin_stop("interrupted", "the process that started the run ended", patience, interrupt=1.0)
            elif self.attached and self._stop is not None:
                soon = time.monotonic() + self.launch.deadlines.host_gone
                self._stop.deadline = min(self._stop.deadline, soon)

    def _begin_stop(self, status: Status, reason: str, patience: float, *, interrupt: float | None = None) -> None:
        self._send(encode(Notification("stop")))
        if interrupt is None:
            interrupt = self.launch.deadlines.interrupt
        self._stop = _Stop(status, reason, "flag", time.monotonic() + patience, interrupt)

    def _advance_stop(self) -> None:
        if self._stop is None or time.monotonic() < self._stop.deadline or self._worker is None:
            return
        if self._stop.step == "flag":
            deadline = time.monotonic() + self._stop.patience
            self._stop = dataclasses.replace(self._stop, step="interrupt", deadline=deadline)
            os.kill(self._worker.pid, signal.SIGINT)
        elif self._stop.step == "interrupt":
            self._stop = dataclasses.replace(self._stop, step="kill")
            os.kill(self._worker.pid, signal.SIGKILL)

    # -- the end ----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        status, reason, error, metrics = self._outcome()
        if status == "failed" and error is not None:
            reason = f"{error.type}: {error.message}"
        self.record = dataclasses.replace(
            self.record,
            status=status,
            reason=reason,
            error=error,
            metrics=metrics or self.record.metrics,
            ended_at=now(),
            supervisor_pid=None,
        )
        self.events.emit(
            StatusEvent, status=status, attempt=self.record.attempt, reason=reason, error=error, metrics=metrics
        )
        # A full disk takes the event, not the record with it: replacing that needs a few hundred bytes.
        with contextlib.suppress(OSError):
            self.events.close()
        self._save()
        self.link.grew()

    def _outcome(self) -> tuple[Status, str | None, ErrorInfo | None, dict[str, float | None]]:
        result = self._result
        if result is not None and self._response is not None and self._response.error is None:
            if result.status == "completed":
                return "completed", None, None, result.metrics
            if self._stop is None:
                return "stopped", "SIGTERM to its worker", None, result.metrics
            return self._stop.status, self._stop.reason, None, result.metrics
        if self._stop is not None and self._stop.step != "flag":
            reason = (
                f"{self._stop.reason}; it reached no safe point in time, so the work since its last checkpoint is lost"
            )
            return self._stop.status, reason, None, {}
        if self._response is not None:
            return "failed", None, self._response.error, {}
        return "failed", None, self._death(), {}

    def _death(self) -> ErrorInfo:
        return ErrorInfo(
            code=0,
            message=death_in_words(self._exit_status or 0),
            type="WorkerCrashedError",
            traceback=tail(self.run_dir / "worker.log") or None,
        )

    def _save(self) -> None:
        write_record(self.run_dir / "run.json", self.record)
        self._record_changed = False
