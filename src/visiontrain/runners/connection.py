"""A worker for a few short questions, without a run: what models are there, which versions and devices."""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from visiontrain import errors
from visiontrain.errors import ProtocolError, RunFailedError, VisiontrainError, WorkerCrashedError
from visiontrain.protocol.codec import MAX_LINE, decode, encode
from visiontrain.protocol.messages import ErrorInfo, InitializeParams, InitializeResult, Request, Response
from visiontrain.protocol.structure import JsonValue, structure, unstructure
from visiontrain.protocol.version import PROTOCOL_VERSION
from visiontrain.runners.lifelines import host_command, lifeline
from visiontrain.runners.variables import worker_variables
from visiontrain.supervisor.keeper import BOOTSTRAP, Ending, Errand
from visiontrain.supervisor.launch import WorkerCommand
from visiontrain.supervisor.process import death_in_words, tail

__all__ = ["WorkerConnection", "remote_error"]

#: Seconds that a worker may take to end by itself once it was told to, or once its pipe has ended.
SHUTDOWN = 5.0

#: Seconds after which a keeper that does not end is given up; killing what the worker started takes two at the most.
KEEPER = 10.0


class WorkerConnection:
    """A worker that answers one request after the other. Use it as a context manager: its end ends the worker.

    The worker and all that it starts end with this process, however that ends.

    Args:
        command: How the worker is started.
        timeout: Seconds that an answer may take; a cold start of a large framework takes tens of seconds.
    """

    def __init__(self, command: WorkerCommand, *, timeout: float = 300.0) -> None:
        self._command = command
        self._timeout = timeout
        self._number = 0
        self._buffer = b""
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None  # the keeper, on whose pipes the worker is
        self._lifeline: socket.socket | None = None
        self._ended: str | None = None  # how, in words

    def __enter__(self) -> WorkerConnection:
        command = host_command(BOOTSTRAP)
        try:
            with contextlib.ExitStack() as undo:
                self._folder = Path(tempfile.mkdtemp(prefix="visiontrain-"))
                undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
                self._lifeline, theirs = lifeline()
                undo.callback(self._lifeline.close)
                self._start(command, theirs)
                undo.pop_all()
        except OSError as error:  # no more processes, no more descriptors, no folder for what is temporary...
            raise WorkerCrashedError(f"the worker could not be started: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, ours = self._started()
        try:
            if value is None:
                self._send(Request(self._number + 1, "shutdown"))
                with selectors.DefaultSelector() as selector:
                    selector.register(ours, selectors.EVENT_READ)
                    selector.select(SHUTDOWN)
        finally:
            ours.close()  # it kills what is left, and ends
            try:
                process.wait(KEEPER)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def initialize(self) -> InitializeResult:
        """Load the trainer and its framework: versions and devices. The first request on every pipe."""
        asked = InitializeParams(PROTOCOL_VERSION, self._command.trainer)
        return structure(InitializeResult, self.request("initialize", asked))

    def request(self, method: str, params: object | None = None, *, timeout: float | None = None) -> JsonValue:
        """Ask, and wait for the answer.

        Args:
            method: What is asked for.
            params: Its parameters, a message's dataclass.
            timeout: Seconds that the answer may take, in place of the connection's.

        Raises:
            WorkerCrashedError: the worker's process ended, or gave no answer in time.
            RunFailedError: it answered with an exception; one of `visiontrain.errors` is raised as itself.
            ProtocolError: what it said is no answer to this request.
        """
        self._check_silent()
        self._number += 1
        self._send(Request(self._number, method, {} if params is None else unstructure(params)))
        response = self._receive(self._timeout if timeout is None else timeout)
        # An error may come without an id: then the worker could not read what it was sent.
        if response.id != self._number and (response.error is None or response.id is not None):
            raise ProtocolError(f"the worker answered request {response.id} where {self._number} was asked")
        if response.error is not None:
            raise remote_error(response.error)
        return response.result

    def await_end(self, timeout: float) -> str | None:
        """Wait for the end of a worker that is asked nothing; what it prints is passed over.

        Args:
            timeout: Seconds to wait at the most.

        Returns:
            How it ended, in words, with the last lines that it said; None where it goes on.
        """
        process, ours = self._started()
        deadline = time.monotonic() + timeout
        watched: list[IO[bytes] | socket.socket] = [ours] if process.stdout is None else [ours, process.stdout]
        while True:
            ready, _, _ = select.select(watched, [], [], max(0.0, deadline - time.monotonic()))
            if ours in ready:
                return str(self._crash())
            if not ready:
                return None
            if process.stdout is not None and not os.read(process.stdout.fileno(), 1 << 16):
                watched.remove(process.stdout)

    def forget(self) -> None:
        """In a forked child: close its copies of the pipes. The worker is the parent's, and goes on."""
        process, _ = self._started()  # the child's copy of the socket is closed already, see `lifelines`
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.returncode = 0  # it is no child of ours, and can't be waited for

    def _start(self, command: list[str], theirs: socket.socket) -> None:
        with theirs, (self._folder / "worker.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
                env=worker_variables(),
                start_new_session=True,
                pass_fds=[theirs.fileno()],
                bufsize=0,
            )
        errand = Errand(self._command.argv, self._command.env, str(self._folder))
        with contextlib.suppress(BrokenPipeError):
            self._started()[1].sendall(json.dumps(errand).encode() + b"\n")

    def _started(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        if self._process is None or self._lifeline is None:
            raise ProtocolError("the connection is used outside its with statement")
        return self._process, self._lifeline

    def _send(self, request: Request) -> None:
        stdin = self._started()[0].stdin
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # its end is told by _receive
                stdin.write(encode(request))

    def _check_silent(self) -> None:
        process, _ = self._started()
        if process.stdout is not None:
            os.set_blocking(process.stdout.fileno(), False)
            self._buffer += _read(process.stdout.fileno()) or b""
        if self._buffer:
            raise ProtocolError("the worker said something before it was asked")

    def _receive(self, timeout: float) -> Response:
        process, ours = self._started()
        if process.stdout is None:
            raise ProtocolError("the worker has no pipe")
        os.set_blocking(process.stdout.fileno(), False)
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(ours, selectors.EVENT_READ)
            while True:
                # What the worker said before its end counts: so the pipe is read after the end was seen.
                ready = [key.fileobj for key, _ in selector.select(max(0.0, deadline - time.monotonic()))]
                chunk = _read(process.stdout.fileno())
                self._buffer += chunk or b""
                while b"\n" in self._buffer:
                    line, _, self._buffer = self._buffer.partition(b"\n")
                    message = decode(line)
                    if not isinstance(message, Response):
                        raise ProtocolError(f"the worker sent {message.method[:100]!r} where an answer was due")
                    return message
                if chunk == b"" or (not chunk and ours in ready):
                    raise self._crash()
                if len(self._buffer) > MAX_LINE:
                    raise ProtocolError(f"the worker sent a line longer than {MAX_LINE:,} bytes")
                if time.monotonic() > deadline:
                    raise WorkerCrashedError(
                        f"the worker gave no answer within {timeout:g} s", log_tail=self._log_tail()
                    )

    def _crash(self) -> WorkerCrashedError:
        """The error for a worker that will say nothing any more: it has ended, or closed its pipe."""
        if self._ended is None:
            _, ours = self._started()
            ours.settimeout(SHUTDOWN)
            try:
                with ours.makefile("rb") as lines:
                    line = lines.readline()
            except TimeoutError:
                self._ended = "the worker closed its pipe without an answer"
            else:
                ending = Ending(*json.loads(line)) if line else Ending(failure="the worker's keeper ended")
                self._ended = ending.failure or death_in_words(ending.status or 0)
        return WorkerCrashedError(self._ended, log_tail=self._log_tail())

    def _log_tail(self) -> str | None:
        return tail(self._folder / "worker.log") or None


def _read(fd: int) -> bytes | None:
    """What there is to read; empty at the end, None where there is nothing yet."""
    try:
        return os.read(fd, 1 << 16)
    except BlockingIOError:
        return None


def remote_error(error: ErrorInfo, *, run_id: str | None = None) -> VisiontrainError:
    """The exception for a worker's error: one of `visiontrain.errors` as itself, any other as `RunFailedError`."""
    cls: type[VisiontrainError] | None = getattr(errors, error.type, None) if error.type in errors.__all__ else None
    if cls is WorkerCrashedError:
        return WorkerCrashedError(error.message, instruction=error.instruction, run_id=run_id, log_tail=error.log_tail)
    if cls is not None and not issubclass(cls, errors.RunError):
        if issubclass(cls, errors.SpecError):  # its message begins with the field
            field, _, rest = error.message.partition(": ")
            return cls(field, rest, instruction=error.instruction)
        return cls(error.message, instruction=error.instruction)
    return RunFailedError(
        error.message if cls is not None else error.headline,
        instruction=error.instruction,
        run_id=run_id,
        remote_traceback=error.traceback,
        log_tail=error.log_tail,
    )
