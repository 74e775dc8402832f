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

from visiontrain.datasets.masks import PixelClasses
from visiontrain.datasets.objects import COLUMNS, Object, Skeleton, object_of
from visiontrain.errors import DatasetError

__all__ = ["FORMAT_VERSION", "SCHEMA", "DatasetIndex", "Image"]

#: Kept in the file as SQLite's ``user_version``; an index of another version is made anew.
FORMAT_VERSION = 4

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
CREATE TABLE objects (           -- of detect, segment, pose and obb: those of an image one after the other
    id INTEGER PRIMARY KEY,
    split TEXT NOT NULL,
    position INTEGER NOT NULL,
    label INTEGER NOT NULL,      -- class index
    x1 REAL NOT NULL,            -- box in pixels as shown
    y1 REAL NOT NULL,
    x2 REAL NOT NULL,
    y2 REAL NOT NULL,
    flags INTEGER NOT NULL,      -- 1 crowd, 2 difficult, 4 truncated
    polygons BLOB,               -- uint32: number of polygons, numbers in each; float32: x, y, x, y...
    mask BLOB,                   -- uint32: height, width; COCO's compressed runs
    keypoints BLOB,              -- float32: x, y, visibility...
    quad BLOB                    -- float32: x, y of four corners; all little-endian
);
CREATE INDEX objects_of_image ON objects (split, position, id);
CREATE TABLE masks (             -- of semantic: a file an image, whose pixels say what class they are of
    split TEXT NOT NULL,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,          -- as of images
    sha256 BLOB NOT NULL,        -- of the file's bytes
    PRIMARY KEY (split, position)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Image:
    """One image.

    `path` is absolute; `width` and `height` are in pixels, after EXIF orientation; `labels` are class indices,
    ascending. `label` is the only one of data whose images have one each; None in multi-label data. `objects` are those
    of the tasks detect, segment, pose and obb, in the order of their file; an image may have none. `mask` is the path
    of the task semantic's, absolute: an image file of one number a pixel, of the image's size as shown; the index's
    `pixel_classes` says what the numbers mean.
    """

    path: str
    width: int
    height: int
    label: int | None
    labels: tuple[int, ...] = ()
    objects: tuple[Object, ...] = ()
    mask: str | None = None


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
        #: All tasks that the data can be read for; the index holds what `task` needs.
        self.tasks: tuple[str, ...] = tuple(json.loads(meta.get("tasks", "null")) or (self.task,))
        self.format: str = meta["format"]
        self.root = Path(json.loads(meta["root"]))
        #: Class names by class index, the same in every split, checkpoint and export.
        self.classes: tuple[str, ...] = tuple(json.loads(meta["classes"]))
        #: Number of images by split; the splits are named train, val and test.
        self.splits: dict[str, int] = json.loads(meta["splits"])
        #: Whether an image has any number of labels, none among them, instead of one.
        self.multi_label = meta.get("multi_label") == "true"
        #: Whether images have objects, instead of labels.
        self.has_objects = meta.get("has_objects") == "true"
        #: Whether images have masks that say what class each pixel is of, instead of labels.
        self.has_masks = meta.get("has_masks") == "true"
        #: What the values of the masks' pixels say; None where there are none.
        self.pixel_classes: PixelClasses | None = _pixel_classes(meta) if self.has_masks else None
        #: How many pixels of a split's masks are of each class, by class index; empty where there are no masks.
        self.class_pixels: dict[str, tuple[int, ...]] = {
            split: tuple(counts) for split, counts in json.loads(meta.get("class_pixels", "{}")).items()
        }
        #: What the objects' keypoints are; None for other tasks than pose.
        self.skeleton: Skeleton | None = Skeleton.from_json(meta["skeleton"]) if "skeleton" in meta else None

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
        return self._image(split, position, row)

    def images(self, split: str) -> Iterator[Image]:
        """All images of a split in the order of their positions."""
        for row in self._execute(
            "SELECT position, path, width, height, label FROM images WHERE split = ? ORDER BY position", (split,)
        ):
            yield self._image(split, row[0], row[1:])

    def sizes(self, split: str) -> Iterator[tuple[int, int]]:
        """Width and height of a split's images in pixels, by position: without their objects, and fast."""
        yield from self._execute("SELECT width, height FROM images WHERE split = ? ORDER BY position", (split,))

    def objects(self, split: str, position: int) -> tuple[Object, ...]:
        """The objects of the image at `position`, in the order of their file; none where there is no such image."""
        rows = self._execute(
            f"SELECT label, {COLUMNS} FROM objects WHERE split = ? AND position = ? ORDER BY id",  # noqa: S608
            (split, position),
        )
        return tuple(object_of(row[0], row[1:]) for row in rows)

    def labels(self, split: str) -> array.array[int]:
        """Class indices of a split by position, 8 bytes each; for data whose images have one label each.

        Raises:
            DatasetError: they have several, or objects, or masks.
        """
        if self.has_masks:
            raise DatasetError(
                f"the images have masks, for the task {self.task}, and this trainer takes a label an image",
                instruction="Train with a framework that takes such data, or give data to classify.",
            )
        if self.has_objects:
            raise DatasetError(
                f"the images have objects, for the task {self.task}, and this trainer takes a label an image",
                instruction="Train with a framework that takes such data, or give data to classify.",
            )
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

    def _mask(self, split: str, position: int) -> str:
        rows = self._execute("SELECT path FROM masks WHERE split = ? AND position = ?", (split, position))
        return os.path.join(self.root, json.loads(next(rows)[0]))

    def _image(self, split: str, position: int, row: tuple[str, int, int, int | None]) -> Image:
        path, width, height, label = row
        place = os.path.join(self.root, json.loads(path))
        if self.has_objects:
            return Image(place, width, height, None, (), self.objects(split, position))
        if self.has_masks:
            return Image(place, width, height, None, mask=self._mask(split, position))
        labels = (label,) if label is not None else self._labels(split, position) if self.multi_label else ()
        return Image(place, width, height, label, labels)

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


def _pixel_classes(meta: dict[str, str]) -> PixelClasses:
    return PixelClasses(tuple(json.loads(meta["mask_values"])), tuple(json.loads(meta["ignored_values"])))


class _Connection(sqlite3.Connection):
    """Closes itself when its thread or index goes: Python 3.13 warns about connections that nobody closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pid = os.getpid()

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # it could not be opened
            self.close()
