"""The working copy of a listing: a temporary database on disk, so that a million files need little memory."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from visiontrain.datasets.annotation import Annotation, FlawCode
from visiontrain.datasets.formats.base import LeftOut, MaskClasses, MaskFile, Split
from visiontrain.datasets.objects import Skeleton
from visiontrain.datasets.pillow import COMMON_EXTENSIONS
from visiontrain.datasets.probe_cache import Probe
from visiontrain.datasets.staged_masks import StagedMasks
from visiontrain.datasets.staged_objects import StagedObjects

__all__ = ["Staging"]

# `kept` is what training will see; unreadable images stay in `image` to be reported. An image has a class; or, in
# multi-label data, `labels`: the ids of all its classes, in order, with commas between, and each in `label` once more.
# Of images with objects or masks `labels` tells different ones apart, and `label` has the classes that an image shows.
_SCHEMA = """
CREATE TABLE class (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE image (
    id INTEGER PRIMARY KEY, split TEXT NOT NULL, class INTEGER, labels TEXT, path BLOB NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    width INTEGER, height INTEGER, mode TEXT, sha256 BLOB, reason TEXT
);
CREATE TABLE label (image INTEGER, class INTEGER, PRIMARY KEY (image, class)) WITHOUT ROWID;
CREATE TABLE again (image INTEGER PRIMARY KEY);
CREATE TABLE left_out (why TEXT NOT NULL, path BLOB NOT NULL, reason TEXT NOT NULL);
CREATE VIEW kept AS SELECT * FROM image WHERE reason IS NULL;
"""
_CHUNK = 2000


class Staging:
    """What a format listed, and later what the decoder found. Takes what a Listing of the formats does.

    The database has no name on disk and is gone when it is closed or its process ends, however it ends. Paths are kept
    as bytes, relative to the root.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA cache_size = -32768")  # KiB
        self._connection.executescript(_SCHEMA)
        self.objects = StagedObjects(self._connection)
        self.masks = StagedMasks(self._connection)
        self._connection.execute("BEGIN")
        self._classes: dict[str, int] = {}
        self.listed = 0  # images so far
        self.uncommon = 0  # of them, those of formats that not every Pillow reads
        self.multi_label = False
        self.in_order = False  # whether classes keep the order in which they came, and those without images as well
        self.annotated = False  # whether images have objects
        self.masked = False  # whether images have masks
        self.notes: dict[str, str] = {}

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def add_class(self, name: str) -> None:
        """There is a class, whether or not images of it follow."""
        if name not in self._classes:
            self._classes[name] = len(self._classes)
            self._connection.execute("INSERT INTO class VALUES (?, ?)", (self._classes[name], name))

    def add_classes(self, names: Sequence[str]) -> None:
        """These are all classes, in this order."""
        self.in_order = True
        for name in names:
            self.add_class(name)

    def set_skeleton(self, skeleton: Skeleton) -> None:
        """The objects have these keypoints."""
        self.objects.skeleton = skeleton

    def set_mask_classes(self, classes: MaskClasses) -> None:
        """The values of masks' pixels mean this."""
        self.masks.said = classes

    def add_image(self, split: Split, name: str, path: str, *, size: int, mtime_ns: int) -> None:
        """There is an image of a class that was added before."""
        self._connection.execute(
            "INSERT INTO image (split, class, path, size, mtime_ns) VALUES (?, ?, ?, ?, ?)",
            (split, self._classes[name], os.fsencode(path), size, mtime_ns),
        )
        self._count(path)

    def add_labelled_image(self, split: Split, names: tuple[str, ...], path: str, *, size: int, mtime_ns: int) -> None:
        """There is an image that has these labels, of classes that were added before."""
        self.multi_label = True
        self._count(path)
        numbers = sorted(self._classes[name] for name in names)
        self._connection.execute(
            "INSERT INTO image (id, split, labels, path, size, mtime_ns) VALUES (?, ?, ?, ?, ?, ?)",
            (self.listed, split, ",".join(map(str, numbers)), os.fsencode(path), size, mtime_ns),
        )
        self._connection.executemany("INSERT INTO label VALUES (?, ?)", ((self.listed, number) for number in numbers))

    def add_annotated_image(
        self,
        split: Split,
        path: str,
        annotations: Sequence[Annotation],
        *,
        size: int,
        mtime_ns: int,
        declared: tuple[int, int] | None = None,
    ) -> None:
        """There is an image with these objects, of classes that were added before."""
        self.annotated = True
        self._count(path)
        self._connection.execute(
            "INSERT INTO image (id, split, labels, path, size, mtime_ns) VALUES (?, ?, '', ?, ?, ?)",
            (self.listed, split, os.fsencode(path), size, mtime_ns),
        )
        self.objects.add(self.listed, [self._classes[found.name] for found in annotations], annotations, declared)

    def add_masked_image(self, split: Split, path: str, mask: MaskFile, *, size: int, mtime_ns: int) -> None:
        """There is an image with a mask."""
        self.masked = True
        self._count(path)
        self._connection.execute(
            "INSERT INTO image (id, split, labels, path, size, mtime_ns) VALUES (?, ?, '', ?, ?, ?)",
            (self.listed, split, os.fsencode(path), size, mtime_ns),
        )
        self.masks.add(self.listed, mask)

    def settle_masks(self, done: Callable[[int], None]) -> None:
        """Find out what classes each mask shows, and what is wrong with it; `done` is told how many, now and then."""
        self.masks.settle(self._number_classes, self.objects.add_flaw, done)

    def _number_classes(self, names: Sequence[str]) -> list[int]:
        self.add_classes(names)
        return [self._classes[name] for name in names]

    def _count(self, path: str) -> None:
        self.listed += 1
        self.uncommon += not path.lower().endswith(COMMON_EXTENSIONS)

    def add_flaw(self, path: str, code: FlawCode, reason: str) -> None:
        """There is something wrong with an annotation."""
        self.annotated = True
        self.objects.add_flaw(path, code, reason)

    def add_note(self, code: str, message: str) -> None:
        """The person should know how the data was understood."""
        self.notes[code] = message

    def leave_out(self, path: str, why: LeftOut, reason: str = "") -> None:
        """There is a file, folder or row that is not read."""
        self._connection.execute("INSERT INTO left_out VALUES (?, ?, ?)", (why, os.fsencode(path), reason))

    def unprobed(self) -> Iterator[list[tuple[int, bytes, int, int]]]:
        """Images that nothing is known about yet, in chunks of (id, path, size, mtime_ns)."""
        last = -1
        while rows := self.rows(
            "SELECT id, path, size, mtime_ns FROM image WHERE id > ? AND sha256 IS NULL AND reason IS NULL"
            " ORDER BY id LIMIT ?",
            last,
            _CHUNK,
        ):
            yield rows
            last = rows[-1][0]

    def set_probes(self, probes: Iterable[tuple[int, Probe]]) -> None:
        """Say what decoding gave, by the images' ids."""
        self._connection.executemany(
            "UPDATE image SET width = ?, height = ?, mode = ?, sha256 = ?, reason = ? WHERE id = ?",
            ((p.width, p.height, p.mode, p.sha256, p.reason, number) for number, p in probes),
        )

    def look_again(self) -> int:
        """Let `unchecked` give all readable images of uncommon formats; says how many those are."""
        self._connection.create_function(
            "uncommon", 1, lambda path: not os.fsdecode(path).lower().endswith(COMMON_EXTENSIONS), deterministic=True
        )
        self.rows("DELETE FROM again")
        self.rows("INSERT INTO again SELECT id FROM kept WHERE uncommon(path)")
        return int(self.rows("SELECT COUNT(*) FROM again")[0][0])

    def unchecked(self) -> Iterator[list[tuple[int, bytes, int, int]]]:
        """What is left of those to look at again, in chunks as of `unprobed`."""
        last = -1
        while rows := self.rows(
            "SELECT id, path, size, mtime_ns FROM image JOIN again ON image = id WHERE id > ? ORDER BY id LIMIT ?",
            last,
            _CHUNK,
        ):
            yield rows
            last = rows[-1][0]

    def set_checks(self, probes: Iterable[tuple[int, Probe]], refusal: str) -> None:
        """Say what looking again gave: where it can't be decoded, `refusal` and why."""
        for number, probe in probes:
            self.rows("DELETE FROM again WHERE image = ?", number)
            if probe.reason is not None:
                self.rows("UPDATE image SET reason = ? WHERE id = ?", f"{refusal}: {probe.reason}", number)

    def carve(self, seed: int, share: float) -> None:
        """Move a share of each class's readable train images to val, the same ones for the same contents and seed.

        Equal contents go together. Each class with two contents or more keeps one in train and gets one in val.

        In multi-label data the rarest class comes first: it gets its share, and what then lies on either side stays
        there when the next class gets its own, so that rare ones are not left to chance. Images without any label come
        last. Images with objects or masks are dealt with in the same way: they have the classes that these show.
        """
        self._connection.create_function(
            "shuffled", 1, lambda content: hashlib.sha256(b"%d:" % seed + content).digest()
        )
        self._connection.execute("CREATE TABLE moved (sha256 BLOB PRIMARY KEY) WITHOUT ROWID")
        if self.multi_label or self.annotated or self.masked:
            self._carve_labelled(share)
            return
        for number in self._classes.values():
            ((contents,),) = self.rows(
                "SELECT COUNT(DISTINCT sha256) FROM kept WHERE class = ? AND split = 'train'", number
            )
            self.rows(
                "INSERT INTO moved SELECT sha256 FROM kept WHERE class = ? AND split = 'train'"
                " GROUP BY sha256 ORDER BY shuffled(sha256) LIMIT ?",
                number,
                max(min(max(round(share * contents), 1), contents - 1), 0),
            )
            self.rows(
                "UPDATE image SET split = 'val' WHERE class = ? AND split = 'train' AND reason IS NULL"
                " AND sha256 IN (SELECT sha256 FROM moved)",
                number,
            )
            self.rows("DELETE FROM moved")

    def _carve_labelled(self, share: float) -> None:
        self._connection.execute("CREATE TABLE settled (sha256 BLOB PRIMARY KEY) WITHOUT ROWID")
        self._connection.execute("CREATE INDEX label_class ON label (class, image)")
        having = "FROM kept WHERE split = 'train' AND id IN (SELECT image FROM label WHERE class = ?)"
        counts = [
            (self.rows(f"SELECT COUNT(DISTINCT sha256) {having}", number)[0][0], number)
            for number in self._classes.values()
        ]
        for contents, number in sorted(counts):
            self._settle(having, (number,), contents, share)
        without = "FROM kept WHERE split = 'train' AND labels = ''"
        contents = self.rows(f"SELECT COUNT(DISTINCT sha256) {without}")[0][0]
        self._settle(without, (), contents, share)
        self.rows(
            "UPDATE image SET split = 'val' WHERE split = 'train' AND reason IS NULL"
            " AND sha256 IN (SELECT sha256 FROM moved)"
        )

    def _settle(self, having: str, parameters: tuple[int, ...], contents: int, share: float) -> None:
        """Let `contents` contents that a query's images have lie on one side or the other."""
        wanted = max(min(max(round(share * contents), 1), contents - 1), 0)
        ((there,),) = self.rows(
            f"SELECT COUNT(DISTINCT sha256) {having} AND sha256 IN (SELECT sha256 FROM moved)",  # noqa: S608
            *parameters,
        )
        self.rows(
            f"INSERT INTO moved SELECT sha256 {having} AND sha256 NOT IN (SELECT sha256 FROM settled)"  # noqa: S608
            " GROUP BY sha256 ORDER BY shuffled(sha256) LIMIT ?",
            *parameters,
            max(wanted - there, 0),
        )
        self.rows(f"INSERT OR IGNORE INTO settled SELECT sha256 {having}", *parameters)

    def index_contents(self) -> None:
        """Make looking for equal contents fast; once all probes are set."""
        self._connection.execute("CREATE INDEX image_content ON image (sha256)")
        self._connection.execute("CREATE INDEX image_class ON image (class, sha256)")

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        """All rows of a query."""
        return self._connection.execute(sql, parameters).fetchall()

    def stream(self, sql: str, *parameters: object) -> Iterator[Any]:
        """The rows of a query one by one; nothing may be changed meanwhile."""
        yield from self._connection.execute(sql, parameters)
