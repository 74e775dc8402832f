"""The neutral index: one SQLite file that says what a dataset holds, read by host and workers alike.

Standard library only. The file is made once by `visiontrain.datasets.writer`, named by what the data is, and never
changed afterwards; any number of processes may read it.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visiontrain.errors import DatasetError

__all__ = ["FORMAT_VERSION", "SCHEMA", "DatasetIndex", "Image"]

#: Kept in the file as SQLite's ``user_version``; an index of another version is made anew.
FORMAT_VERSION = 2

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
    split TEXT NOT NULL,
    position INTEGER NOT NULL,   -- 0, 1, 2... within the split
    path TEXT NOT NULL,          -- JSON string, relative to the root or absolute; not UTF-8: surrogate escapes
    width INTEGER NOT NULL,      -- pixels as shown: after EXIF orientation
    height INTEGER NOT NULL,
    label INTEGER,               -- class index; NULL where an image has several labels or none
    sha256 BLOB NOT NULL,        -- of the file's bytes
    PRIMARY KEY (split, position)
) WITHOUT ROWID;
CREATE TABLE labels (            -- of multi-label data: a row for each label of each image
    split TEXT NOT NULL,
    position INTEGER NOT NULL,
    label INTEGER NOT NULL,
    PRIMARY KEY (split, position, label)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Image:
    """One image.

    `path` is absolute; `width` and `height` are in pixels, after EXIF orientation; `labels` are class indices,
    ascending. `label` is the only one of data whose images have one each; None in multi-label data.
    """

    path: str
    width: int
    height: int
    label: int | None
    labels: tuple[int, ...] = ()


class DatasetIndex:
    """A dataset, read from its index.

    Safe to share between threads and to hand to forked and spawned processes: each opens the file for itself.

    Raises:
        DatasetError: the file is missing, damaged, or was written by another version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._local = threading.local()
        try:
            version = next(self._execute("PRAGMA user_version"))[0]
            meta: dict[str, str] = dict(self._execute("SELECT key, value FROM meta")) if version else {}
        except sqlite3.Error as e:
            raise DatasetError(
                f"the dataset's index {self.path} can't be read: {e}",
                instruction="Start again from the data's folder: the index is then made anew.",
            ) from e
        if version != FORMAT_VERSION:
            raise DatasetError(
                f"the dataset's index {self.path} has format {version}, this version reads {FORMAT_VERSION}",
                instruction="Start again from the data's folder: the index is then made anew.",
            )
        #: Identity of the data: SHA-256 over names, contents, splits and labels.
        self.fingerprint: str = meta["fingerprint"]
        self.task: str = meta["task"]
        self.format: str = meta["format"]
        self.root = Path(json.loads(meta["root"]))
        #: Class names by class index, the same in every split, checkpoint and export.
        self.classes: tuple[str, ...] = tuple(json.loads(meta["classes"]))
        #: Number of images by split; the splits are named train, val and test.
        self.splits: dict[str, int] = json.loads(meta["splits"])
        #: Whether an image has any number of labels, none among them, instead of one.
        self.multi_label = meta.get("multi_label") == "true"

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
        return self._image(row, self._labels(split, position) if self.multi_label else ())

    def images(self, split: str) -> Iterator[Image]:
        """All images of a split in the order of their positions."""
        for row in self._execute(
            "SELECT position, path, width, height, label FROM images WHERE split = ? ORDER BY position", (split,)
        ):
            yield self._image(row[1:], self._labels(split, row[0]) if self.multi_label else ())

    def labels(self, split: str) -> array.array[int]:
        """Class indices of a split by position, 8 bytes each; for data whose images have one label each.

        Raises:
            DatasetError: they have several.
        """
        if self.multi_label:
            raise DatasetError(
                "the images have several labels each, and this trainer takes one",
                instruction="Train with a framework that takes multi-label data, such as timm.",
            )
        rows = self._execute("SELECT label FROM images WHERE split = ? ORDER BY position", (split,))
        return array.array("q", (row[0] for row in rows))

    def _labels(self, split: str, position: int) -> tuple[int, ...]:
        rows = self._execute(
            "SELECT label FROM labels WHERE split = ? AND position = ? ORDER BY label", (split, position)
        )
        return tuple(label for (label,) in rows)

    def _image(self, row: tuple[str, int, int, int | None], labels: tuple[int, ...]) -> Image:
        path, width, height, label = row
        place = os.path.join(self.root, json.loads(path))
        return Image(place, width, height, label, labels if label is None else (label,))

    def _execute(self, sql: str, parameters: tuple[object, ...] = ()) -> Iterator[Any]:
        # SQLite connections must not cross a fork, and are not shared between threads.
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.pid != os.getpid():
            uri = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
            connection = sqlite3.connect(uri, uri=True, factory=_Connection, check_same_thread=False)
            self._local.connection = connection
        return connection.execute(sql, parameters)

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_local"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()


class _Connection(sqlite3.Connection):
    """Closes itself when its thread or index goes: Python 3.13 warns about connections that nobody closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pid = os.getpid()

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # it could not be opened
            self.close()
