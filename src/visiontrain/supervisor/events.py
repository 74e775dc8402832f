"""The writer of ``events.jsonl``: lines are appended in batches, each batch in one write."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import Event, event_to_json

__all__ = ["EventLog"]


class EventLog:
    """Appends to a run's events. A line that an earlier attempt left unfinished is closed off first."""

    def __init__(self, path: Path, run_id: str) -> None:
        self._run_id = run_id
        self._pending: list[bytes] = []
        self._seq = 0
        self._torn = False
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            self._write(b"\n")

    def append(self, line: bytes) -> None:
        """Add an event's JSON object, without newline; it is written at the next `flush`."""
        self._pending.append(line)

    def emit(self, cls: Callable[..., Event], **fields: object) -> None:
        """Add an event of the supervisor's own."""
        self._seq += 1
        event = cls(
            run_id=self._run_id,
            seq=self._seq,
            time=time.time(),
            monotonic=time.monotonic(),
            source="supervisor",
            **fields,
        )
        self.append(dumps(event_to_json(event)))

    def flush(self, *, sync: bool = False) -> bool:
        """Write what was added; True if there was something. `sync` waits until it is on disk."""
        if not self._pending:
            return False
        self._pending.append(b"")
        data, self._pending = b"\n".join(self._pending), []
        self._write(data)
        if sync:
            os.fsync(self._fd)
        return True

    def close(self) -> None:
        """Write what was added and close the file."""
        self.flush(sync=True)
        os.close(self._fd)

    def _write(self, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data  # a write broke off: its line must not swallow the next one
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:])
        finally:
            self._torn = written < len(data) and (written > 0 or self._torn)
