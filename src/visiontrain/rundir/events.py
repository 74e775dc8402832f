"""Reading ``events.jsonl``, also while it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic_core import from_json

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import loads
from visiontrain.protocol.events import Event, event_from_json
from visiontrain.storage import explained

__all__ = ["EVENTS", "EventReader", "read_events"]

EVENTS = "events.jsonl"

#: Bytes. With twice as many, Python's collector of cycles looks through the objects of each chunk.
CHUNK = 1 << 15


class EventReader:
    """Reads a run's events from an offset on; each call gives what has been added, at most a chunk.

    A line that is not an event (an attempt killed while it wrote) is passed over.
    """

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._rest = b""

    @property
    def position(self) -> int:
        """Where the first line begins that has not been read, in bytes."""
        return self._offset - len(self._rest)

    def read(self) -> list[Event]:
        """Events of whole lines that have not been read; empty when there is nothing new, or no file.

        Raises:
            StorageError: the file can't be read.
        """
        while True:
            chunk = self._read_chunk()
            lines, newline, rest = chunk.rpartition(b"\n")
            if newline:
                lines, self._rest = self._rest + lines, rest
            else:
                self._rest += rest
            found = _events(lines) if lines else []
            # A chunk of other lines must not look like the end of the file.
            if found or len(chunk) < CHUNK:
                return found

    def _read_chunk(self) -> bytes:
        with explained("the events of the run can't be read"):
            try:
                file = os.open(self._path, os.O_RDONLY)
            except (FileNotFoundError, NotADirectoryError):
                return b""
            try:
                chunk = os.pread(file, CHUNK, self._offset)
            finally:
                os.close(file)
        self._offset += len(chunk)
        return chunk


def read_events(path: Path) -> Iterator[Event]:
    """All events of a run, in bounded memory."""
    reader = EventReader(path)
    while events := reader.read():
        yield from events


def _events(lines: bytes) -> list[Event]:
    """Those of `lines`, of which the last one comes without its newline."""
    try:
        # Parsed in one go by a parser that takes half the time of json's.
        values = from_json(b"[" + lines.replace(b"\n", b",") + b"]", allow_inf_nan=False, cache_strings="keys")
        if len(values) == lines.count(b"\n") + 1:
            return [event for value in values if (event := event_from_json(value)) is not None]
    except (ValueError, ProtocolError):  # each line tells for itself
        pass
    return [event for line in lines.split(b"\n") if (event := _event_or_none(line)) is not None]


def _event_or_none(line: bytes) -> Event | None:
    try:
        return event_from_json(loads(line))
    except ProtocolError:
        return None
