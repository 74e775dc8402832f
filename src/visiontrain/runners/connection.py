"""A worker for a few short questions, without a run: what models are there, which versions and devices."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
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
from visiontrain.supervisor.launch import WorkerCommand
from visiontrain.supervisor.process import death_in_words, tail

__all__ = ["WorkerConnection", "remote_error"]


class WorkerConnection:
    """A worker that answers one request after the other. Use it as a context manager: its end ends the worker.

    Args:
        command: How the worker is started.
        timeout: Seconds that an answer may take; a cold start of a large framework takes tens of seconds.
    """

    def __init__(self, command: WorkerCommand, *, timeout: float = 300.0) -> None:
        self._command = command
        self._timeout = timeout
        self._number = 0
        self._buffer = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> WorkerConnection:
        self._folder = tempfile.TemporaryDirectory(prefix="visiontrain-")
        self._log = (Path(self._folder.name) / "worker.log").open("wb")
        try:
            self._process = subprocess.Popen(
                self._command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                cwd=self._folder.name,
                env=self._command.env,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._log.close()
            self._folder.cleanup()
            raise WorkerCrashedError(f"the worker could not be started: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._started()
        if value is None:
            with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
                self._send(Request(self._number + 1, "shutdown"))
                process.wait(5)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads its own group: children go with it
        process.wait()
        for stream in (process.stdin, process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._folder is not None:
            self._folder.cleanup()

    def initialize(self) -> InitializeResult:
        """Load the trainer and its framework: versions and devices. The first request on every pipe."""
        asked = InitializeParams(PROTOCOL_VERSION, self._command.trainer)
        return structure(InitializeResult, self.request("initialize", asked))

    def request(self, method: str, params: object | None = None) -> JsonValue:
        """Ask, and wait for the answer.

        Raises:
            WorkerCrashedError: the worker's process ended, or gave no answer in time.
            RunFailedError: it answered with an exception; one of `visiontrain.errors` is raised as itself.
        """
        self._number += 1
        self._send(Request(self._number, method, {} if params is None else unstructure(params)))
        response = self._receive()
        if response.error is not None:
            raise remote_error(response.error)
        if response.id != self._number:
            raise ProtocolError(f"the worker answered request {response.id} where {self._number} was asked")
        return response.result

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ProtocolError("the connection is used outside its with statement")
        return self._process

    def _send(self, request: Request) -> None:
        stdin = self._started().stdin
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # its end is told by _receive
                stdin.write(encode(request))

    def _receive(self) -> Response:
        process = self._started()
        if process.stdout is None:
            raise ProtocolError("the worker has no pipe")
        deadline = time.monotonic() + self._timeout
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                while b"\n" in self._buffer:
                    line, _, self._buffer = self._buffer.partition(b"\n")
                    message = decode(line)
                    if isinstance(message, Response):
                        return message
                if selector.select(0.1):
                    chunk = os.read(process.stdout.fileno(), 1 << 16)
                    if not chunk:
                        raise self._crash()
                    self._buffer += chunk
                elif process.poll() is not None:
                    raise self._crash()
                if len(self._buffer) > MAX_LINE or time.monotonic() > deadline:
                    raise WorkerCrashedError(
                        f"the worker gave no answer within {self._timeout:g} s", log_tail=self._log_tail()
                    )

    def _crash(self) -> WorkerCrashedError:
        code = self._started().wait()
        return WorkerCrashedError(death_in_words(-code if code < 0 else code << 8), log_tail=self._log_tail())

    def _log_tail(self) -> str | None:
        return tail(Path(self._folder.name) / "worker.log") if self._folder else None


def remote_error(error: ErrorInfo, *, run_id: str | None = None) -> VisiontrainError:
    """The exception for a worker's error: one of `visiontrain.errors` as itself, any other as `RunFailedError`."""
    cls: type[VisiontrainError] | None = getattr(errors, error.type, None) if error.type in errors.__all__ else None
    if cls is WorkerCrashedError:
        return WorkerCrashedError(error.message, instruction=error.instruction, run_id=run_id, log_tail=error.traceback)
    if cls is not None and not issubclass(cls, errors.RunError):
        if issubclass(cls, errors.SpecError):  # its message begins with the field
            field, _, rest = error.message.partition(": ")
            return cls(field, rest, instruction=error.instruction)
        return cls(error.message, instruction=error.instruction)
    reason = error.message if cls is not None else f"{error.type}: {error.message}"
    return RunFailedError(reason, instruction=error.instruction, run_id=run_id, remote_traceback=error.traceback)
