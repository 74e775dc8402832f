"""One attempt at a run, from the worker's start to the last event."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import selectors
import subprocess
import time
from pathlib import Path

from visiontrain.errors import ProtocolError, VisiontrainError
from visiontrain.protocol.codec import encode
from visiontrain.protocol.messages import (
    ErrorInfo,
    InitializeParams,
    InitializeResult,
    Notification,
    Request,
    Response,
)
from visiontrain.protocol.structure import structure, unstructure
from visiontrain.protocol.version import PROTOCOL_VERSION
from visiontrain.supervisor.inbox import Inbox, RawEvents
from visiontrain.supervisor.journal import Journal
from visiontrain.supervisor.launch import Launch
from visiontrain.supervisor.link import HostLink
from visiontrain.supervisor.outcome import RESULTS, Outcome, Result, describe
from visiontrain.supervisor.places import Place, candidates, join
from visiontrain.supervisor.process import death_in_words, kill_descendants, reap, spawn_worker, tail
from visiontrain.supervisor.stopping import Stop
from visiontrain.supervisor.wishes import Wish, take

__all__ = ["Supervisor"]

#: How often wishes of other processes are looked for, in seconds.
TICK = 0.2

#: How long events are let come together before they are taken, in seconds.
BATCH = 0.0007

INITIALIZE, WORK, SHUTDOWN = 1, 2, 3


class Supervisor:
    """Drives one worker through one request and keeps the record."""

    def __init__(self, launch: Launch, link: HostLink, wakeup: int) -> None:
        self.launch = launch
        self.run_dir = Path(launch.run_dir)
        self.journal = Journal(self.run_dir, launch.record, link)
        self.link = link
        self.wakeup = wakeup
        self.attached = not launch.detached
        self.terminated = False  # SIGTERM has come
        self._worker: subprocess.Popen[bytes] | None = None
        self._exit_status: int | None = None
        self._log_start = 0  # of this attempt in the log, in bytes
        self._stop: Stop | None = None
        self._place: Place | None = None  # in the queue for a device
        self._begun = False  # the request that the run is about was sent
        self._asked: dict[int, bool] = {}  # requests that were sent, and whether they were answered
        self._response: Response | None = None
        self._result: Result | None = None
        self._selector = selectors.DefaultSelector()
        self._look_at = 0.0  # when wishes are looked for next, on the monotonic clock

    def begin(self) -> None:
        """Write the record: whoever is told that the run has started finds it running."""
        take(self.run_dir)  # meant for an earlier attempt
        self.journal.tell("running")
        if self.journal.refusal is not None:
            raise self.journal.refusal

    def run(self) -> None:
        """Start the worker, follow it to its end, leave nothing behind."""
        try:
            self._follow_worker()
        except ProtocolError as error:
            self._response = Response(WORK, error=ErrorInfo(0, f"protocol error: {error}", "ProtocolError"))
        except VisiontrainError as error:  # the run's folder was removed, its device's queue can't be read...
            self._response = Response(WORK, error=describe(error))
        except OSError as error:  # the worker's program is missing...
            self._response = Response(WORK, error=ErrorInfo(0, str(error), type(error).__name__))
        kill_descendants()
        self.journal.finish(self._outcome())
        if self._place is not None:
            self._place.leave()

    # -- the worker -------------------------------------------------------------------------------------------------

    def _follow_worker(self) -> None:
        with (self.run_dir / "worker.log").open("ab") as log:
            self._log_start = log.tell()
            self._worker = spawn_worker(
                self.launch.command.argv, self.launch.command.env, cwd=self.run_dir, log=log.fileno()
            )
        assert self._worker.stdin and self._worker.stdout  # noqa: S101, PT018 - they are pipes
        inbox = Inbox(self._worker.stdout.fileno(), self.launch.record.run_id)
        self._selector.register(inbox.fd, selectors.EVENT_READ)
        self._selector.register(self.wakeup, selectors.EVENT_READ)
        if self.link.connection is not None:
            self._selector.register(self.link.connection, selectors.EVENT_READ)
        initialize = InitializeParams(PROTOCOL_VERSION, self.launch.command.trainer, self.launch.record.run_id)
        self._request(INITIALIZE, "initialize", initialize)
        while self._response is None and self._exit_status is None:
            self._wait()
            if self._take(inbox) and inbox.drained:
                # What comes next is taken together: looking after each event costs more than the events do.
                time.sleep(BATCH)
            self._begin_in_turn()
            if self._stop is not None and self._worker is not None:
                self._stop.advance(self._worker.pid)
        if self._exit_status is None:
            self._shut_down(inbox)
        self._drain(inbox)

    def _wait(self) -> None:
        ready = {key.fd for key, _ in self._selector.select(max(0.0, self._look_at - time.monotonic()))}
        if self.wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wakeup, 4096)
        self._reap()
        if self.link.connection is not None and self.link.connection.fileno() in ready:
            self._obey_host()
        if self.terminated and self._stop is None:
            self._begin_stop(Stop.asked("SIGTERM to its supervisor", self.launch.deadlines))
        if time.monotonic() >= self._look_at:  # not after each batch: that takes as long as the events of a small one
            self._look_at = time.monotonic() + TICK
            self._grant(take(self.run_dir))

    def _reap(self) -> None:
        ended = reap()
        if self._worker is not None and self._worker.pid in ended:
            self._exit_status = ended[self._worker.pid]
            self._worker.returncode = os.waitstatus_to_exitcode(self._exit_status)

    def _take(self, inbox: Inbox) -> bool:
        messages = inbox.read()
        for message in messages:
            if isinstance(message, RawEvents):
                self.journal.take(message)
            else:
                self._take_response(message)
        if inbox.ended and inbox.fd in self._selector.get_map():
            self._selector.unregister(inbox.fd)
        if not self.journal.flush() and self._stop is None:
            self._begin_stop(Stop.disk_full(self.launch.deadlines))
        return bool(messages)

    def _drain(self, inbox: Inbox) -> None:
        """Take what the worker wrote before its end, which is the process's, not the pipe's: children may hold that."""
        while not inbox.ended:
            before = inbox.received
            self._take(inbox)
            if inbox.received == before:
                return

    def _take_response(self, response: Response) -> None:
        self._check_off(response)
        if response.id == INITIALIZE and response.error is None:
            worker = structure(InitializeResult, response.result)
            self.journal.take_worker(worker)
            self._queue_up(worker)
        elif response.id in (INITIALIZE, WORK) or response.error is not None:
            if response.error is None:
                self._result = structure(RESULTS[self.launch.record.kind], response.result)
            self._response = response

    def _check_off(self, response: Response) -> None:
        if response.id is None:
            if response.error is None:
                raise ProtocolError("the worker sent an answer without an id")
            return  # it could not read what it was sent
        answered = self._asked.get(response.id)
        if answered is not False:
            why = "was never asked" if answered is None else "it has answered already"
            raise ProtocolError(f"the worker answered the request {response.id}, which {why}")
        self._asked[response.id] = True

    def _request(self, number: int, method: str, params: object) -> None:
        self._asked[number] = False
        self._send(encode(Request(number, method, unstructure(params))))

    def _send(self, line: bytes) -> None:
        assert self._worker and self._worker.stdin  # noqa: S101, PT018 - started with a pipe
        # A worker that is gone is learnt from its exit status.
        with contextlib.suppress(BrokenPipeError):
            self._worker.stdin.write(line)

    def _shut_down(self, inbox: Inbox) -> None:
        self._request(SHUTDOWN, "shutdown", {})
        began = time.monotonic()
        while self._exit_status is None and time.monotonic() < began + self._shutdown_patience():
            self._wait()
            self._take(inbox)

    def _shutdown_patience(self) -> float:
        return self.launch.deadlines.shutdown if self._stop is None else self._stop.shutdown

    # -- waiting for a device ---------------------------------------------------------------------------------------

    def _queue_up(self, worker: InitializeResult) -> None:
        wanted = candidates(self.launch.device, worker.devices)
        if self.launch.limit is not None and wanted:  # a device that is not there is the trainer's to refuse
            self._place = join(self.launch.limit, self.journal.record.run_id, wanted)
        else:
            self._begin_work(self.launch.device)

    def _begin_in_turn(self) -> None:
        if self._place is None or self._begun:
            return
        if self._stop is not None:
            self._response = Response(WORK)
            return
        reason = self._place.waits_for()
        if reason is not None:
            if reason != self.journal.record.reason:
                self.journal.tell("pending", reason)
            return
        if self.journal.record.status == "pending":
            self.journal.tell("running")
        asked = self.launch.device
        # "auto" stays so where there is no choice: a GPU that can't be used is the trainer's to tell.
        self._begin_work(self._place.device if ":" in self._place.device else asked)

    def _begin_work(self, device: str) -> None:
        self._begun = True
        self._request(WORK, self.launch.record.kind, {**self.launch.params, "device": device})

    # -- stopping ---------------------------------------------------------------------------------------------------

    def _obey_host(self) -> None:
        connection = self.link.connection
        for command in self.link.receive():
            if command == "detach":
                self.attached = False
            elif command in ("stop", "kill"):
                self._grant("stop" if command == "stop" else "kill")
        if self.link.connection is None and connection is not None:
            self._selector.unregister(connection)
            if self.attached and self._stop is None:
                self._begin_stop(Stop.host_gone(self.launch.deadlines))
            elif self.attached and self._stop is not None:
                self._stop.hasten(self.launch.deadlines.host_gone)

    def _grant(self, wish: Wish | None) -> None:
        if wish == "kill":
            if self._stop is None or not self._stop.is_at_once:
                self._begin_stop(Stop.at_once())
        elif wish == "stop" and self._stop is None:
            self._begin_stop(Stop.asked("asked to stop", self.launch.deadlines))

    def _begin_stop(self, stop: Stop) -> None:
        self._send(encode(Notification("stop")))
        self._stop = stop

    # -- the end ----------------------------------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        if self._result is not None and self._response is not None and self._response.error is None:
            return Outcome.answered(self._result, self._stop)
        if self._stop is not None and self._place is not None and not self._begun:
            return Outcome.never_begun(self._stop, waited=self.journal.record.status == "pending")
        if self._stop is not None and self._stop.is_forced:
            resumable = self.launch.record.kind == "train"
            return Outcome.forced(self._stop, self.journal.record.last, resumable=resumable)
        if self._response is not None and self._response.error is not None:
            return Outcome.failed(dataclasses.replace(self._response.error, log_tail=self._log_tail()))
        return Outcome.failed(self._death())

    def _death(self) -> ErrorInfo:
        return ErrorInfo(
            code=0,
            message=death_in_words(self._exit_status or 0),
            type="WorkerCrashedError",
            log_tail=self._log_tail(),
        )

    def _log_tail(self) -> str | None:
        """The last lines that this attempt has left in the log."""
        return tail(self.run_dir / "worker.log", start=self._log_start) or None
