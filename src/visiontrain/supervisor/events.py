"""The writer of ``events.jsonl``: lines are appended in batches, each batch in one write."""

from __future__ import annotations

import errno
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
        self._path = path
        self._pending: list[bytes] = []
        self._unwritten = b""
        self._seq = 0
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            self._unwritten = b"\n"

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is written to is still the one that readers find, as far as can be told."""
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.stat())
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)

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
        """Write what was added; True if there was something. `sync` waits until it is on disk.

        Raises:
            OSError: the disk did not take it; what it did not take is kept, and the next call goes on right there.
        """
        if not self._pending and not self._unwritten:
            return False
        if self._pending:
            self._pending.append(b"")
            self._unwritten += b"\n".join(self._pending)
            self._pending = []
        while self._unwritten:
            self._unwritten = self._unwritten[os.write(self._fd, self._unwritten) :]
        if sync:
            os.fsync(self._fd)
        return True

    def close(self) -> None:
        """Write what was added and close the file.

        Raises:
            OSError: as `flush` does; the file is closed nevertheless.
        """
        try:
            self.flush(sync=True)
        finally:
            os.close(self._fd)
