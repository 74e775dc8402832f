"""What is known about files that were decoded before, so that no file is decoded twice."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Probe", "ProbeCache"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS probes (
    path BLOB PRIMARY KEY,     -- absolute, as the file system spells it
    size INTEGER NOT NULL,     -- bytes
    mtime_ns INTEGER NOT NULL,
    pillow TEXT NOT NULL,      -- the version that decoded it
    width INTEGER,
    height INTEGER,
    mode TEXT,
    sha256 BLOB,
    reason TEXT,
    pixels TEXT                -- of masks: JSON, how many there are of each value
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Probe:
    """What decoding one file gave.

    Args:
        size: Bytes of the file when it was read, -1 where it could not be looked at.
        mtime_ns: When the file was last changed, as it was read.
        width: Pixels after EXIF orientation; None where it can't be decoded.
        height: As `width`.
        mode: Pillow's name of the colour mode.
        sha256: Of the file's bytes.
        reason: Why it can't be decoded, in words; None where it can.
        pixels: Of a mask whose pixels are one number each: how many there are of each value, a JSON object.
        lasting: Whether the same bytes would give the same again.
    """

    size: int = -1
    mtime_ns: int = 0
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    sha256: bytes | None = None
    reason: str | None = None
    pixels: str | None = None
    lasting: bool = True


class ProbeCache:
    """Probes by path, size and time of change, in one SQLite file that several processes may use at a time.

    Args:
        path: The file; made where it is missing.
        pillow: Pillow's version: what another one could not decode is tried again.

    Raises:
        sqlite3.Error: by all methods, where the file can't be used.
    """

    def __init__(self, path: Path, pillow: str) -> None:
        self._pillow = pillow
        # A rollback journal, not WAL: a home folder may be on a network file system.
        self._connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        try:
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise

    def __enter__(self) -> ProbeCache:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def find(self, files: Iterable[tuple[bytes, int, int]]) -> Iterator[Probe | None]:
        """The probe of each (absolute path, size, mtime_ns), or None where it has to be decoded."""
        with self._transaction():
            for file in files:
                row = self._connection.execute(
                    "SELECT size, mtime_ns, width, height, mode, sha256, reason, pixels, pillow FROM probes"
                    " WHERE path = ? AND size = ? AND mtime_ns = ?",
                    file,
                ).fetchone()
                known = row is not None and (row[6] is None or row[8] == self._pillow)
                yield Probe(*row[:8]) if known else None

    def keep(self, probes: Iterable[tuple[bytes, Probe]]) -> None:
        """Remember probes by absolute path; they are on disk when this returns."""
        with self._transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (path, p.size, p.mtime_ns, self._pillow, p.width, p.height, p.mode, p.sha256, p.reason, p.pixels)
                    for path, p in probes
                    if p.lasting
                ),
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk ends it
                self._connection.execute("ROLLBACK")
            raise
