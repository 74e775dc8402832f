"""What comes from the worker: lines out of a pipe, checked, told apart."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import EVENT_PREFIX, MAX_LINE, decode, dumps, loads, loads_trusting
from visiontrain.protocol.events import event_from_json
from visiontrain.protocol.messages import Response

__all__ = ["Inbox", "RawEvents"]

CHUNK = 1 << 16

#: What stands between the objects of two events that follow each other.
_BETWEEN = b"}\n" + EVENT_PREFIX

#: What a number that is too large for a float is read as.
_OVERFLOWS = frozenset({math.inf, -math.inf})


@dataclass(frozen=True)
class RawEvents:
    """Events that came together. `lines` is their JSON objects' text, one a line; `values` are the objects.

    `notable` are those of `values` that are more than a point between two epochs: the few that a run turns on.
    """

    lines: bytes
    values: list[dict[str, Any]]
    notable: list[dict[str, Any]]


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
        together = self._events(lines)
        if together is not None:
            return [together]
        return [self._message(line) for line in lines[:-1].split(b"\n")]

    def _events(self, lines: bytes) -> RawEvents | None:
        """The usual case: nothing but events in good order, parsed together and kept as they came.

        None for anything else, which is told line by line. Looking at each event costs as much as parsing it.
        """
        text = lines[len(EVENT_PREFIX) : -2]
        count = text.count(_BETWEEN) + 1
        if not lines.startswith(EVENT_PREFIX) or not lines.endswith(b"}\n") or text.count(b"\n") != count - 1:
            return None
        due = range(self._seq + 1, self._seq + count + 1)
        try:
            values = loads_trusting(b"[" + text.replace(_BETWEEN, b",") + b"]")
            in_order = [value["seq"] for value in values] == list(due)
            of_run = {value["run_id"] for value in values} == {self._run_id}
            typed = all(type(kind) is str for kind in {value["type"] for value in values})
            notable = [value for value in values if value["type"] != "metrics" or value.get("scope") != "step"]
            # The many of a run are left to the worker's own check, but for what nobody could write again.
            finite = math.isfinite(sum([value["time"] + value["monotonic"] for value in values]))
            if notable or not finite or not all(_OVERFLOWS.isdisjoint(value["values"].values()) for value in values):
                values = [loads(line) for line in text.split(_BETWEEN)]
                notable = [value for value in values if value["type"] != "metrics" or value.get("scope") != "step"]
                for value in notable:
                    event_from_json(value)
        except (ProtocolError, TypeError, KeyError, AttributeError):
            return None
        if not (in_order and of_run and typed):
            return None
        self._seq += count
        return RawEvents(text.replace(_BETWEEN, b"\n"), values, notable)

    def _message(self, line: bytes) -> Response | RawEvents:
        message = decode(line)
        if isinstance(message, Response):
            return message
        if message.method != "event":
            raise ProtocolError(f"the worker sent {message.method!r}, which only a host may")
        return self._event(message.params)

    def _event(self, value: Any) -> RawEvents:
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise ProtocolError("the worker sent an event that is not an object with a type")
        if value.get("run_id") != self._run_id:
            raise ProtocolError(f"the worker sent an event of the run {value.get('run_id')!r}")
        self._seq += 1
        if value.get("seq") != self._seq:
            raise ProtocolError(f"the worker's event {value.get('seq')!r} came where number {self._seq} was due")
        event_from_json(value)
        return RawEvents(dumps(value), [value], [value])
