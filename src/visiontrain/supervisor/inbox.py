"""What comes from the worker: lines out of a pipe, checked, told apart."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import EVENT_PREFIX, MAX_LINE, decode, dumps, loads
from visiontrain.protocol.events import event_from_json
from visiontrain.protocol.messages import Response
from visiontrain.supervisor.points import PointReader

__all__ = ["Inbox", "RawEvents"]

CHUNK = 1 << 16


@dataclass(frozen=True)
class RawEvents:
    """One event, or points between two epochs that came together. `lines` is their JSON objects' text, one a line.

    `value` is the one event's object; None with points, which no run turns on.
    """

    lines: bytes
    value: dict[str, Any] | None


class Inbox:
    """Reads the worker's side of the protocol and checks the order of its events."""

    def __init__(self, fd: int, run_id: str) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._run_id = run_id
        self._points = PointReader(run_id)
        self._parts: list[bytes] = []  # of a line that has not ended
        self._length = 0
        self._seq = 0
        self.ended = False
        self.received = 0  # bytes
        self.drained = True  # whether the last read left nothing behind

    def read(self) -> list[Response | RawEvents]:
        """The messages that have come, without waiting.

        Raises:
            ProtocolError: a line is no message of the protocol, or an event is missing or comes twice.
        """
        try:
            chunk = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return []
        self.received += len(chunk)
        self.drained = len(chunk) < CHUNK
        if not chunk:
            self.ended = True
        complete, newline, rest = chunk.rpartition(b"\n")
        if newline:
            lines = b"".join([*self._parts, complete, newline])
            self._parts, self._length = [rest], len(rest)
        else:
            lines = b""
            self._parts.append(rest)
            self._length += len(rest)
        if self._length > MAX_LINE:
            raise ProtocolError(f"the worker sent a line longer than {MAX_LINE:,} bytes")
        return self._messages(lines) if lines else []

    def _messages(self, lines: bytes) -> list[Response | RawEvents]:
        points = self._points.read(lines)
        if points is not None:
            kept, seqs = points
            if seqs == list(range(self._seq + 1, self._seq + len(seqs) + 1)):
                self._seq += len(seqs)
                return [RawEvents(kept, None)]
        return [self._message(line) for line in lines[:-1].split(b"\n")]

    def _message(self, line: bytes) -> Response | RawEvents:
        if line.startswith(EVENT_PREFIX) and line.endswith(b"}"):
            text = line[len(EVENT_PREFIX) : -1]
            with contextlib.suppress(ProtocolError):  # it goes on after the event
                return self._event(loads(text), text)
        message = decode(line)
        if isinstance(message, Response):
            return message
        if message.method != "event":
            raise ProtocolError(f"the worker sent {message.method!r}, which only a host may")
        return self._event(message.params, dumps(message.params))

    def _event(self, value: Any, text: bytes) -> RawEvents:
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise ProtocolError("the worker sent an event that is not an object with a type")
        if value.get("run_id") != self._run_id:
            raise ProtocolError(f"the worker sent an event of the run {value.get('run_id')!r}")
        if value.get("seq") != self._seq + 1:
            raise ProtocolError(f"the worker's event {value.get('seq')!r} came where number {self._seq + 1} was due")
        event_from_json(value)
        self._seq += 1
        return RawEvents(text, value)
