"""The supervisor's end of the socket to its host. Lossy on purpose: the record is the truth, and nobody waits here.

To the host go lines: progress events as they are, ``{"type":"grew"}`` when the record has new lines, one answer to the
launch, and ``{"type":"failed"}`` at the end of a run whose record can't be written. From the host come
``stop``, ``kill`` and ``detach``; its end means that the host is gone.
"""

from __future__ import annotations

import contextlib
import socket

from visiontrain.errors import ProtocolError, VisiontrainError
from visiontrain.protocol.codec import dumps, loads
from visiontrain.protocol.messages import ErrorInfo
from visiontrain.protocol.structure import JsonValue, unstructure

__all__ = ["HostLink"]

#: Seconds that a host which is behind is given for the last word.
LAST_WORD = 5.0

GREW = b'{"type":"grew"}\n'


class HostLink:
    """Speaks to the host without ever blocking."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket: socket.socket | None = connection
        self._received = bytearray()
        self._unsent = b""

    def receive_launch(self) -> JsonValue:
        """Wait for the host's first line.

        Raises:
            ProtocolError: the host went away, or its line is not JSON.
        """
        while b"\n" not in self._received:
            chunk = self._socket.recv(1 << 16) if self._socket else b""
            if not chunk:
                raise ProtocolError("the host went away before it said what to run")
            self._received += chunk
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        if self._socket:
            self._socket.settimeout(0)
        result: JsonValue = loads(line)
        return result

    @property
    def connection(self) -> socket.socket | None:
        """The socket to wait on; None once the host is gone."""
        return self._socket

    def receive(self) -> list[str]:
        """The commands that have come. Call it when the socket is readable; `connection` is None if it was the end."""
        if self._socket is None:
            return []
        try:
            chunk = self._socket.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            return []
        self._received += chunk
        *lines, rest = bytes(self._received).split(b"\n")
        self._received = bytearray(rest)
        return [name for line in lines if (name := _command(line))]

    def say(self, kind: str, **fields: JsonValue) -> None:
        """Send a small message, unless the host is behind."""
        self._send(dumps({"type": kind, **fields}) + b"\n")

    def refuse(self, error: VisiontrainError) -> None:
        """Answer the launch: the run can't be begun, and why."""
        self.say("refused", error=unstructure(ErrorInfo(0, error.reason, type(error).__name__, error.instruction)))

    def last_word(self, error: ErrorInfo) -> None:
        """Say why the run has ended, where the record can't; wait for a host that is behind, but not for ever."""
        if self._socket is None:
            return
        data = self._unsent + dumps({"type": "failed", "error": unstructure(error)}) + b"\n"
        self._unsent = b""
        with contextlib.suppress(OSError):
            # A host that has not read for long has a full buffer: make it larger (Linux doubles what it is asked for),
            # and use that at once: it only counts as writable when it is nearly empty.
            size = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            self._socket.settimeout(0)
            data = data[self._socket.send(data) :]
        if data:
            with contextlib.suppress(OSError):
                self._socket.settimeout(LAST_WORD)
                self._socket.sendall(data)

    def grew(self) -> None:
        """Tell that the record has new lines."""
        self._send(GREW)

    def progress(self, event: bytes) -> None:
        """Pass a progress event on."""
        self._send(event + b"\n")

    def close(self) -> None:
        """Let the host go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            return
        # A line that went out in part must be finished before another one starts; until then lines are left out.
        data = self._unsent or data
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            return
        except OSError:
            return  # the end is learnt from reading
        self._unsent = data[sent:] if sent < len(data) else b""


def _command(line: bytes) -> str | None:
    with contextlib.suppress(ProtocolError):
        value = loads(line)
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            return str(value["type"])
    return None
