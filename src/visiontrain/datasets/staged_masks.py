"""The masks of a listing: a file an image, whose pixels say what class they are of."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence

from visiontrain.datasets.annotation import FlawCode
from visiontrain.datasets.formats.base import MaskClasses, MaskFile
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.masks import PixelClasses
from visiontrain.datasets.probe_cache import Probe

__all__ = ["StagedMasks"]

# `pixels` has how many pixels of each value a mask has, of readable masks whose pixels are one number each. `meaning`
# has the class of each value; those that are ignored have none, and those that nothing is known of are not in it.
_SCHEMA = """
CREATE TABLE mask (
    image INTEGER PRIMARY KEY, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    width INTEGER, height INTEGER, mode TEXT, sha256 BLOB, reason TEXT, counted INTEGER
);
CREATE TABLE pixels (
    image INTEGER NOT NULL, value INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (image, value)
) WITHOUT ROWID;
CREATE TABLE meaning (value INTEGER PRIMARY KEY, class INTEGER);
"""
_CHUNK = 2000
_TOLD_EVERY = 1000  # images
_NAMED = 10  # values that a sentence names


class StagedMasks:
    """Tables in the staging's database: masks, how many pixels of each value they have, and what values mean."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(_SCHEMA)
        self.listed = 0
        self.said = MaskClasses(None, ())
        self.meaning = PixelClasses((), ())

    def add(self, image: int, mask: MaskFile) -> None:
        """Take the mask of an image."""
        self.listed += 1
        self._connection.execute(
            "INSERT INTO mask (image, path, size, mtime_ns) VALUES (?, ?, ?, ?)",
            (image, os.fsencode(mask.path), mask.size, mask.mtime_ns),
        )

    def unprobed(self) -> Iterator[list[tuple[int, bytes, int, int]]]:
        """Masks that nothing is known about yet, in chunks of (image's id, path, size, mtime_ns)."""
        last = -1
        while rows := self._connection.execute(
            "SELECT image, path, size, mtime_ns FROM mask WHERE image > ? AND sha256 IS NULL AND reason IS NULL"
            " ORDER BY image LIMIT ?",
            (last, _CHUNK),
        ).fetchall():
            yield rows
            last = rows[-1][0]

    def set_probes(self, probes: Sequence[tuple[int, Probe]]) -> None:
        """Say what decoding gave, by the images' ids."""
        self._connection.executemany(
            "UPDATE mask SET width = ?, height = ?, mode = ?, sha256 = ?, reason = ?, counted = ? WHERE image = ?",
            ((p.width, p.height, p.mode, p.sha256, p.reason, p.pixels is not None, number) for number, p in probes),
        )
        self._connection.executemany(
            "INSERT INTO pixels VALUES (?, ?, ?)",
            (
                (number, int(value), count)
                for number, probe in probes
                if probe.pixels is not None
                for value, count in json.loads(probe.pixels).items()
            ),
        )

    def settle(
        self,
        add_classes: Callable[[Sequence[str]], Sequence[int]],
        add_flaw: Callable[[str, FlawCode, str], None],
        done: Callable[[int], None],
    ) -> None:
        """Find out what classes each mask shows; what is wrong with one goes to the flaws.

        An image whose mask can't be read is left out as one that can't be read itself.

        Args:
            add_classes: Takes all classes' names, in order, and gives their ids.
            add_flaw: Takes the path of a mask, what is wrong, and how.
            done: Told the number of masks that were looked at, now and then.
        """
        names = self._values_as_names() if self.said.names is None else self.said.names
        self.meaning = PixelClasses(tuple(names), self.said.ignored)
        ids = add_classes(list(names.values()))
        self._connection.executemany("INSERT INTO meaning VALUES (?, ?)", zip(names, ids, strict=True))
        self._connection.executemany(
            "INSERT INTO meaning VALUES (?, NULL)", ((value,) for value in self.meaning.ignored)
        )
        rows = self._connection.execute(
            "SELECT mask.image, mask.path, mask.width, mask.height, mask.mode, counted, image.width, image.height"
            " FROM mask JOIN image ON image.id = mask.image WHERE mask.reason IS NULL AND image.reason IS NULL"
            " ORDER BY mask.image"
        )
        for number, (image, path, width, height, mode, counted, *shown) in enumerate(rows):
            if number % _TOLD_EVERY == 0:
                done(number)
            where = os.fsdecode(path)
            if not counted:
                add_flaw(where, "mask-channels", f"its colour mode is {mode}")
                continue
            if [width, height] != shown:
                turned = ", turned by its EXIF orientation" if [height, width] == shown else ""
                reason = f"{width} x {height} pixels, and its image is shown as {shown[0]} x {shown[1]}{turned}"
                add_flaw(where, "mask-sizes-differ", reason)
            self._look_at_values(image, where, add_flaw)
        self._connection.execute(
            "INSERT INTO label SELECT DISTINCT image, class FROM pixels JOIN meaning USING (value)"
            " WHERE class IS NOT NULL"
        )
        # Tells different masks apart; without any class there is nothing to tell.
        self._connection.execute(
            "UPDATE image SET labels = COALESCE((SELECT hex(sha256) FROM mask WHERE image = image.id"
            " AND image IN (SELECT image FROM label)), '')"
        )
        unread = self._connection.execute("SELECT image, path, reason FROM mask WHERE reason IS NOT NULL").fetchall()
        self._connection.executemany(
            "UPDATE image SET reason = ? WHERE id = ? AND reason IS NULL",
            (
                (f"its mask {printable(os.fsdecode(path))} can't be read: {reason}", image)
                for image, path, reason in unread
            ),
        )

    def _values_as_names(self) -> Mapping[int, str]:
        rows = self._connection.execute("SELECT DISTINCT value FROM pixels ORDER BY value")
        return {value: str(value) for (value,) in rows if value not in self.said.ignored}

    def _look_at_values(self, image: int, where: str, add_flaw: Callable[[str, FlawCode, str], None]) -> None:
        unknown = self._connection.execute(
            "SELECT value, count FROM pixels WHERE image = ? AND value NOT IN (SELECT value FROM meaning)", (image,)
        ).fetchall()
        if unknown:
            count = sum(count for _, count in unknown)
            listed = ", ".join(str(value) for value, _ in unknown[:_NAMED])
            more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
            add_flaw(where, "unknown-values", f"{listed}{more}, in {count:,} pixels")
            return
        known = self._connection.execute(
            "SELECT 1 FROM pixels JOIN meaning USING (value) WHERE image = ? AND class IS NOT NULL LIMIT 1", (image,)
        )
        if known.fetchone() is None:
            add_flaw(where, "empty-masks", "no pixel is of a class")

    def of_image(self, image: int) -> tuple[bytes, bytes]:
        """Path and SHA-256 of an image's mask."""
        path, sha256 = self._connection.execute("SELECT path, sha256 FROM mask WHERE image = ?", (image,)).fetchone()
        return path, sha256

    def pixels(self) -> dict[str, dict[int | None, int]]:
        """How many pixels of readable images are of each class, by split and the class's id; None: ignored."""
        found: dict[str, dict[int | None, int]] = {}
        for split, number, count in self._connection.execute(
            "SELECT split, meaning.class, SUM(count) FROM pixels JOIN kept ON kept.id = pixels.image"
            " JOIN meaning USING (value) GROUP BY split, meaning.class"
        ):
            found.setdefault(split, {})[number] = count
        return found
