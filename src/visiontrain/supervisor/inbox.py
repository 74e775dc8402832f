"""What comes from the worker: lines out of a pipe, checked, told apart."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import EVENT_PREFIX, MAX_LINE, decode, dumps, loads_lines
from visiontrain.protocol.messages import Response

__all__ = ["Inbox", "RawEvent"]

CHUNK = 1 << 16


class RawEvent(NamedTuple):
    """An event as it came: `line` is its JSON object's text, `value` the object. One is made for every event."""

    line: bytes
    value: dict[str, Any]


class Inbox:
    """Reads the worker's side of the protocol and checks the order of its events."""

    def __init__(self, fd: int, run_id: str) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._run_id = run_id
        self._parts: list[bytes] = []  # of a line that has not ended
        self._length = 0
        self._seq = 0
        self.ended = False
        self.received = 0  # bytes
        self.drained = True  # whether the last read left nothing behind

    def read(self) -> list[Response | RawEvent]:
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
        first, *others = chunk.split(b"\n")
        self._parts.append(first)
        self._length += len(first)
        lines = []
        if others:
            lines = [b"".join(self._parts), *others[:-1]]
            self._parts, self._length = [others[-1]], len(others[-1])
        if self._length > MAX_LINE:
            raise ProtocolError(f"the worker sent a line longer than {MAX_LINE:,} bytes")
        return self._messages(lines)

    def _messages(self, lines: list[bytes]) -> list[Response | RawEvent]:
        if all(line.startswith(EVENT_PREFIX) and line.endswith(b"}}") for line in lines):
            # The usual case: an event's text is copied into the record as it is, not written anew.
            texts = [line[len(EVENT_PREFIX) : -1] for line in lines]
            try:
                values = loads_lines(texts)
            except ProtocolError:  # a message with further fields, or none: told below
                return [self._message(line) for line in lines]
            return [self._event(text, value) for text, value in zip(texts, values, strict=True)]
        return [self._message(line) for line in lines]

    def _message(self, line: bytes) -> Response | RawEvent:
        message = decode(line)
        if isinstance(message, Response):
            return message
        if message.method != "event":
            raise ProtocolError(f"the worker sent {message.method!r}, which only a host may")
        return self._event(dumps(message.params), message.params)

    def _event(self, text: bytes, value: Any) -> RawEvent:
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise ProtocolError("the worker sent an event that is not an object with a type")
        if value.get("run_id") != self._run_id:
            raise ProtocolError(f"the worker sent an event of the run {value.get('run_id')!r}")
        self._seq += 1
        if value.get("seq") != self._seq:
            raise ProtocolError(f"the worker's event {value.get('seq')!r} came where number {self._seq} was due")
        return RawEvent(text, value)
