"""The neutral index: one SQLite file that says what a dataset holds, read by host and workers alike.

Standard library only. The file is made once by `visiontrain.datasets.writer`, named by what the data is, and never
changed afterwards; any number of processes may read it.
"""

from __future__ import annotations

import array
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FORMAT_VERSION", "SCHEMA", "DatasetIndex", "Image"]

FORMAT_VERSION = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
    split TEXT NOT NULL,
    position INTEGER NOT NULL,   -- 0, 1, 2... within the split
    path TEXT NOT NULL,          -- relative to the root, with /; bytes that are not UTF-8 as surrogate escapes in JSON
    width INTEGER NOT NULL,      -- pixels as shown: after EXIF orientation
    height INTEGER NOT NULL,
    label INTEGER,               -- class index; NULL where the task has no label an image
    sha256 BLOB NOT NULL,        -- of the file's bytes
    PRIMARY KEY (split, position)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Image:
    """One image. `path` is absolute; `width` and `height` are in pixels, after EXIF orientation; `label` is a class index."""

    path: str
    width: int
    height: int
    label: int | None


class DatasetIndex:
    """A dataset, read from its index. Safe to hand to forked and spawned processes: each opens the file for itself."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._owner: tuple[int, int] | None = None
        meta = dict(self._execute("SELECT key, value FROM meta"))
        #: Identity of the data: SHA-256 over names, contents, splits and labels.
        self.fingerprint: str = meta["fingerprint"]
        self.task: str = meta["task"]
        self.format: str = meta["format"]
        self.root = Path(json.loads(meta["root"]))
        #: Class names by class index, the same in every split, checkpoint and export.
        self.classes: tuple[str, ...] = tuple(json.loads(meta["classes"]))
        #: Number of images by split; the splits are named train, val and test.
        self.splits: dict[str, int] = json.loads(meta["splits"])

    def image(self, split: str, position: int) -> Image:
        """The image at `position` (0 to the split's size - 1).

        Raises:
            IndexError: there is no such image.
        """
        row = next(
            self._execute(
                "SELECT path, width, height, label FROM images WHERE split = ? AND position = ?", (split, position)
            ),
            None,
        )
        if row is None:
            raise IndexError(f"{split} has {self.splits.get(split, 0)} images, no number {position}")
        return self._image(row)

    def images(self, split: str) -> Iterator[Image]:
        """All images of a split in the order of their positions."""
        for row in self._execute(
            "SELECT path, width, height, label FROM images WHERE split = ? ORDER BY position", (split,)
        ):
            yield self._image(row)

    def labels(self, split: str) -> array.array[int]:
        """Class indices of a split by position, 8 bytes each; for tasks with one label an image."""
        rows = self._execute("SELECT label FROM images WHERE split = ? ORDER BY position", (split,))
        return array.array("q", (row[0] for row in rows))

    def _image(self, row: tuple[str, int, int, int | None]) -> Image:
        path, width, height, label = row
        return Image(os.path.join(self.root, json.loads(path)), width, height, label)

    def _execute(self, sql: str, parameters: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
        # SQLite connections must not cross a fork, and by default not threads.
        owner = (os.getpid(), _thread_id())
        if self._connection is None or self._owner != owner:
            self._connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            self._owner = owner
        return self._connection.execute(sql, parameters)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_connection": None, "_owner": None}


def _thread_id() -> int:
    import threading

    return threading.get_ident()
