"""Starting a supervisor, and the host's end of the socket to it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
import weakref
from typing import IO, Any

from visiontrain.errors import EnvironmentBuildError, ProtocolError, RunBusyError, WorkerCrashedError
from visiontrain.protocol.codec import dumps, loads
from visiontrain.protocol.events import ProgressEvent, event_from_json
from visiontrain.protocol.messages import ErrorInfo
from visiontrain.protocol.structure import structure, unstructure
from visiontrain.runners.connection import remote_error
from visiontrain.runners.lifelines import host_command, lifeline
from visiontrain.runners.variables import worker_variables
from visiontrain.supervisor.launch import Launch
from visiontrain.supervisor.main import BOOTSTRAP

__all__ = ["SupervisorLink", "start_supervisor"]

#: Seconds that a supervisor may take to say that it has started; it loads a few modules of the standard library.
START_TIMEOUT = 60.0


class SupervisorLink:
    """The host's end. While it is open the run is attached: its end, ours included, stops the run."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self._lock = threading.Lock()
        self.closed = False
        self._process = os.getpid()
        # A run that nobody holds any more is not left attached by chance. Not by __del__: where a traceback holds us in
        # a cycle, the socket would be found unclosed first.
        weakref.finalize(self, connection.close).atexit = False
        #: The supervisor's last word, where the record could not take it.
        self.failure: ErrorInfo | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it can be used: in a forked child it can't, its socket was closed there."""
        return self._process == os.getpid()

    def wait(self, timeout: float) -> list[ProgressEvent]:
        """Wait until the record has grown, progress came or the supervisor ended, `timeout` seconds at the most."""
        with self._lock:
            if self.closed:
                return []
            self._socket.settimeout(timeout)
            try:
                chunk = self._socket.recv(1 << 16)
            except TimeoutError:
                return []
            except OSError:
                chunk = b""
            if not chunk:
                self._close()
                return []
            *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        said = [value for line in lines if (value := _said_on_link(line))]
        for value in said:
            if value.get("type") == "failed":
                self.failure = structure(ErrorInfo, value["error"])
        return [event for value in said if isinstance(event := _progress(value), ProgressEvent)]

    def say(self, command: str) -> None:
        """Send ``stop``, ``kill`` or ``detach``. A supervisor that has ended needs none of them."""
        with contextlib.suppress(OSError):
            self._socket.sendall(dumps({"type": command}) + b"\n")

    def close(self) -> None:
        """Close our end."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self.closed = True
        self._socket.close()


def start_supervisor(launch: Launch) -> SupervisorLink:
    """Start the supervisor of a run and wait until it has taken the run over.

    Raises:
        RunBusyError: another supervisor works on the run.
        EnvironmentBuildError: the run's environment is being removed.
        StorageError: the disk does not take the run's record, or the file system has no locks.
        WorkerCrashedError: the supervisor could not start.
    """
    command = host_command(BOOTSTRAP)
    try:
        ours, starter = _start(command, launch.run_dir)
    except OSError as error:  # no more processes, no more descriptors...
        raise WorkerCrashedError(f"the supervisor could not be started: {error}") from error
    try:
        with contextlib.suppress(BrokenPipeError):
            ours.sendall(dumps(unstructure(launch)) + b"\n")
        _await_start(ours, launch.record.run_id, starter.stderr)
    except BaseException:
        ours.close()
        raise
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            starter.wait(START_TIMEOUT)
        if starter.stderr is not None:
            starter.stderr.close()
    return SupervisorLink(ours)


def _start(command: list[str], folder: str) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = lifeline()
    try:
        with theirs:
            starter = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=worker_variables(),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    return ours, starter


def _await_start(connection: socket.socket, run_id: str, stderr: IO[bytes] | None) -> None:
    connection.settimeout(START_TIMEOUT)
    answer: Any = {}
    while answer.get("type") != "started":  # the record may have been begun, and that been told, before
        answer = loads(_line(connection, stderr))
        if answer.get("error") is not None:
            raise remote_error(structure(ErrorInfo, answer["error"]), run_id=run_id)
        if answer.get("type") == "refused":
            reason = str(answer.get("reason"))
            if "environment" in reason:
                raise EnvironmentBuildError(reason, instruction="Try again; it will be built anew.")
            raise RunBusyError(reason, run_id=run_id, instruction=f"Follow it: visiontrain runs follow {run_id}")


def _line(connection: socket.socket, stderr: IO[bytes] | None) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        try:
            # A byte at a time: what follows the answer belongs to the link.
            byte = connection.recv(1)
        except TimeoutError as error:
            raise WorkerCrashedError(f"the supervisor did not start within {START_TIMEOUT:g} s") from error
        except OSError:
            byte = b""
        if not byte:
            raise WorkerCrashedError("the supervisor ended before it started the run", log_tail=_said(stderr))
        line += byte
    return line


def _said(stderr: IO[bytes] | None) -> str | None:
    if stderr is None:
        return None
    os.set_blocking(stderr.fileno(), False)
    deadline = time.monotonic() + 1.0
    said = b""
    while time.monotonic() < deadline:
        try:
            chunk = os.read(stderr.fileno(), 1 << 16)
        except BlockingIOError:
            time.sleep(0.02)
            continue
        if not chunk:
            break
        said += chunk
    return said.decode("utf-8", "replace") or None


def _said_on_link(line: bytes) -> Any:
    try:
        return loads(line)
    except ProtocolError:
        return None


def _progress(value: Any) -> object:
    try:
        return event_from_json(value) if value.get("type") == "progress" else None
    except ProtocolError:
        return None
