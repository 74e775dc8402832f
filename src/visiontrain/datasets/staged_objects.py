"""The objects of a listing: as their files give them until all images are known, then as the index keeps them."""

from __future__ import annotations

import hashlib
import marshal
import os
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from visiontrain.datasets.annotation import Annotation, FlawCode
from visiontrain.datasets.masks import Mask
from visiontrain.datasets.objects import COLUMNS, Row, Skeleton, row_of
from visiontrain.datasets.settling import Unsettled, settle
from visiontrain.protocol.tasks import Task

__all__ = ["Kinds", "StagedObjects"]

_SCHEMA = """
CREATE TABLE raw (
    image INTEGER NOT NULL, class INTEGER NOT NULL, file TEXT NOT NULL, place TEXT NOT NULL,
    crowd INTEGER NOT NULL, outlined INTEGER NOT NULL, rectangle INTEGER NOT NULL, cornered INTEGER NOT NULL,
    rest BLOB NOT NULL
);
CREATE TABLE object (
    image INTEGER NOT NULL, class INTEGER NOT NULL,
    x1 REAL, y1 REAL, x2 REAL, y2 REAL, flags INTEGER, polygons BLOB, mask BLOB, keypoints BLOB, quad BLOB
);
CREATE TABLE declared (image INTEGER PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL);
CREATE TABLE flaw (code TEXT NOT NULL, path BLOB NOT NULL, reason TEXT NOT NULL);
"""
_TOLD_EVERY = 1000  # images
_RECTANGLE = 8  # numbers of a polygon of four corners


@dataclass(frozen=True)
class Kinds:
    """How many objects have what; crowds not counted.

    `rectangles` are those whose outline is their box once more.
    """

    objects: int
    outlined: int
    rectangles: int
    cornered: int


class StagedObjects:
    """Two tables in the staging's database: annotations, and the objects that they turn out to be."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(_SCHEMA)
        self.skeleton: Skeleton | None = None
        self.settled: Task | None = None

    def add(
        self, image: int, classes: Sequence[int], annotations: Sequence[Annotation], declared: tuple[int, int] | None
    ) -> None:
        """Take the objects of an image, given their classes' ids, and the image's size as a file has it."""
        if declared is not None:
            self._connection.execute("INSERT INTO declared VALUES (?, ?, ?)", (image, *declared))
        self._connection.executemany(
            "INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_raw(image, number, found) for number, found in zip(classes, annotations, strict=True)),
        )

    def add_flaw(self, path: str, code: FlawCode, reason: str) -> None:
        """There is something wrong with an annotation in the file at `path`."""
        self._connection.execute("INSERT INTO flaw VALUES (?, ?, ?)", (code, os.fsencode(path), reason))

    def kinds(self) -> Kinds:
        """What the annotations have."""
        row = self._connection.execute(
            "SELECT COUNT(*), COALESCE(SUM(outlined), 0), COALESCE(SUM(rectangle), 0), COALESCE(SUM(cornered), 0)"
            " FROM raw WHERE NOT crowd"
        ).fetchone()
        return Kinds(*row)

    def settle(self, task: Task, done: Callable[[int], None]) -> None:
        """Make objects of all annotations on readable images; what is wrong with them goes to the flaws.

        Args:
            task: What they are to serve.
            done: Told the number of images that were looked at, now and then.
        """
        self.settled = task
        points = len(self.skeleton.names) if self.skeleton and task is Task.pose else 0
        rows = self._connection.execute(
            "SELECT raw.image, raw.class, width, height, path, file, place, rest"
            " FROM raw JOIN image ON image.id = raw.image WHERE reason IS NULL ORDER BY raw.rowid"
        )
        for number, (image, of_image) in enumerate(groupby(rows, key=itemgetter(0))):
            if number % _TOLD_EVERY == 0:
                done(number)
            self._settle_image(image, of_image, task, points)
        self._connection.execute("DROP TABLE raw")
        self._compare_sizes()
        self._connection.execute("CREATE INDEX object_image ON object (image)")

    def _settle_image(self, image: int, rows: Iterator[Any], task: Task, points: int) -> None:
        kept: dict[tuple[int, Row], None] = {}
        for _, number, width, height, path, file, place, rest in rows:
            where = file or os.fsdecode(path)
            found = _annotation(place, rest)
            try:
                settled, flaws = settle(found, number, width, height, task=task, points=points)
                row = (number, row_of(settled))
                if row in kept:
                    raise Unsettled("repeated-objects", "it is there twice")
            except Unsettled as unsettled:
                self.add_flaw(where, unsettled.flaw.code, f"{place}: {unsettled.flaw.reason}")
                continue
            kept[row] = None
            for flaw in flaws:
                self.add_flaw(where, flaw.code, f"{place}: {flaw.reason}")
        self._connection.executemany(
            "INSERT INTO object VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((image, number, *row) for number, row in kept),
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO label VALUES (?, ?)", ((image, number) for number, _ in kept)
        )
        if kept:
            digest = hashlib.sha256(repr(sorted(map(repr, kept))).encode()).hexdigest()
            self._connection.execute("UPDATE image SET labels = ? WHERE id = ?", (digest, image))

    def _compare_sizes(self) -> None:
        rows = self._connection.execute(
            "SELECT path, image.width, image.height, declared.width, declared.height FROM declared"
            " JOIN image ON image.id = declared.image WHERE reason IS NULL"
            " AND (image.width != declared.width OR image.height != declared.height)"
        )
        for path, width, height, *declared in rows:
            turned = ", which its EXIF orientation turns" if declared == [height, width] else ""
            reason = f"annotated as {declared[0]} x {declared[1]} pixels{turned}, shown as {width} x {height}"
            self.add_flaw(os.fsdecode(path), "sizes-differ", reason)

    def of_image(self, image: int) -> list[tuple[int, Row]]:
        """Class id and row of each object of an image, in the order of their file."""
        rows = self._connection.execute(
            f"SELECT class, {COLUMNS} FROM object WHERE image = ? ORDER BY rowid",  # noqa: S608 - our own words
            (image,),
        )
        return [(row[0], row[1:]) for row in rows]


def _raw(image: int, number: int, found: Annotation) -> tuple[object, ...]:
    polygons = found.polygons
    rectangle = len(polygons) == 1 and found.box is not None and _is_box(polygons[0], found.box)
    mask = found.mask
    rest = marshal.dumps(  # written and read by this very process
        (
            found.box,
            tuple(struct.pack(f"{len(polygon)}d", *polygon) for polygon in polygons),
            None if mask is None else (mask.height, mask.width, mask.data),
            found.keypoints,
            found.quad,
            found.shares,
            found.crowd,
            found.difficult,
            found.truncated,
        )
    )
    outlined = bool(polygons) or mask is not None
    corners = found.quad is not None
    return image, number, found.file, found.place, found.crowd, outlined, rectangle, corners, rest


def _annotation(place: str, rest: bytes) -> Annotation:
    box, polygons, mask, keypoints, quad, shares, crowd, difficult, truncated = marshal.loads(rest)  # noqa: S302
    return Annotation(
        name="",
        place=place,
        box=box,
        polygons=tuple(struct.unpack(f"{len(polygon) // 8}d", polygon) for polygon in polygons),
        mask=None if mask is None else Mask(*mask),
        keypoints=keypoints,
        quad=quad,
        shares=shares,
        crowd=crowd,
        difficult=difficult,
        truncated=truncated,
    )


def _is_box(polygon: Sequence[float], box: tuple[float, float, float, float]) -> bool:
    """Whether a polygon is the box's outline, as tools write it that have no other."""
    if len(polygon) != _RECTANGLE:
        return False
    x1, y1, x2, y2 = box
    near = max(x2 - x1, y2 - y1) * 1e-3
    corners = zip(polygon[0::2], polygon[1::2], strict=True)
    return all(min(abs(x - x1), abs(x - x2)) <= near and min(abs(y - y1), abs(y - y2)) <= near for x, y in corners)
