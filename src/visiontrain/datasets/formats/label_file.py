"""A file that lists images with their labels: CSV or JSON lines of path, label and, if it likes, split."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

from visiontrain.datasets.formats.base import Listing, Split
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.formats.places import look, place
from visiontrain.datasets.formats.rows import EXTENSIONS, BadRow, Row, columns_of, read_rows
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["LabelFile"]

_SHOWN = 20  # bad rows
_ENOUGH = 1000  # of them: reading on would tell nothing new


@dataclass(frozen=True)
class LabelFile:
    """A CSV or JSON lines file, or a folder with one directly inside. Paths are relative to the file's folder.

    Where a row has several labels (a list in JSON, a cell with ``|`` or ``;`` in CSV) all images may have any number.
    """

    name: ClassVar[str] = "label-file"
    summary: ClassVar[str] = "a CSV or JSONL file of path, label and, if you like, split"
    tasks: ClassVar[tuple[Task, ...]] = (Task.classify,)

    def recognises(self, source: str) -> bool:
        """A file by its extension; a folder by a file directly inside whose first row names a path and a label."""
        if os.path.isdir(source):
            return bool(_files_in(source))
        return source.lower().endswith(EXTENSIONS)

    def locate(self, source: str) -> tuple[str, str]:
        """The file, and the folder that it lies in.

        Raises:
            DatasetError: the folder has several such files.
        """
        return (_only_file(source), source) if os.path.isdir(source) else (source, os.path.dirname(source))

    def read(self, source: str, task: Task | None, listing: Listing) -> None:  # noqa: ARG002 - one task only
        """List the images that the file names.

        Raises:
            DatasetError: the file can't be read, or has rows that can't be used.
        """
        file, root = self.locate(source)
        with closing(_Book()) as book:
            bad = _fill(book, file, root, listing) or book.unfit()
            if bad:
                raise _bad_rows(file, bad)
            if not book.rows:
                raise DatasetError(f"{printable(file)} lists no images", instruction="Give each image a row.")
            if not book.trains:
                raise DatasetError(
                    f"{printable(file)} has no row whose split is train",
                    instruction="Say train in the rows to train on, or leave the column of splits out.",
                )
            for name in book.classes:
                listing.add_class(name)
            for line, repeats in book.repeated:
                listing.leave_out(
                    f"{os.path.basename(file)}, line {line}", "repeated", f"says what line {repeats} says"
                )
            _list(book, root, listing)


def _files_in(folder: str) -> list[str]:
    """The label files that lie directly in a folder, sorted."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.name.lower().endswith(EXTENSIONS) and not e.name.startswith(".")]
    except OSError:  # whoever lists it says so
        return []
    found = (os.path.join(folder, name) for name in sorted(names))
    return [file for file in found if os.path.isfile(file) and columns_of(file)]


def _only_file(folder: str) -> str:
    found = _files_in(folder)
    if len(found) > 1:
        names = ", ".join(printable(os.path.basename(file)) for file in found)
        raise DatasetError(
            f"{printable(folder)} has several label files: {names}",
            instruction=f"Give the one that counts, such as {printable(found[0])}; to use them together put all rows "
            "into one file, with a column split.",
        )
    return found[0]


class _Book:
    """The rows by path, in a temporary database: a million need little memory, and each path comes once."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE row (path BLOB PRIMARY KEY, written TEXT NOT NULL, line INTEGER NOT NULL, split TEXT,"
            " labels TEXT NOT NULL) WITHOUT ROWID"
        )
        self._connection.execute("BEGIN")
        self.classes: dict[str, None] = {}
        self.several = False
        self.repeated: list[tuple[int, int]] = []

    def close(self) -> None:
        self._connection.close()

    def add(self, row: Row, path: str) -> str | None:
        """Take a row; what is wrong where it contradicts an earlier one."""
        self.several |= row.several
        self.classes.update(dict.fromkeys(row.labels))
        key, labels = os.fsencode(path), json.dumps(sorted(row.labels))
        before = self._connection.execute("SELECT line, split, labels FROM row WHERE path = ?", (key,)).fetchone()
        if before is None:
            written = json.dumps(row.path)  # what no text column takes is escaped
            self._connection.execute(
                "INSERT INTO row VALUES (?, ?, ?, ?, ?)", (key, written, row.line, row.split, labels)
            )
            return None
        line, split, known = before
        if split != row.split:
            return f"puts {printable(row.path)} into {row.split}, and line {line} into {split}"
        if known != labels:
            return (
                f"gives {printable(row.path)} the label {_words(row.labels)}, and line {line} "
                f"{_words(json.loads(known))}; several labels of one image stand in one row"
            )
        self.repeated.append((row.line, line))
        return None

    def unfit(self) -> list[BadRow]:
        """Rows that lack what others have."""
        found = []
        if not self.several:
            found += [BadRow(line, "has no label") for line in self._lines("labels = '[]'")]
        if self._one("SELECT COUNT(split) FROM row"):
            found += [BadRow(line, "has no split, and others have") for line in self._lines("split IS NULL")]
        return sorted(found, key=lambda row: row.line)

    @property
    def rows(self) -> int:
        """Number of images."""
        return self._one("SELECT COUNT(*) FROM row")

    @property
    def trains(self) -> bool:
        """Whether there is anything to train on."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM row WHERE split IS NULL OR split = 'train')"))

    def images(self) -> Iterator[tuple[str, str, int, Split, tuple[str, ...]]]:
        """(path, path as written, line, split, labels) of all rows, by path."""
        for path, written, line, split, labels in self._connection.execute(
            "SELECT path, written, line, split, labels FROM row ORDER BY path"
        ):
            yield os.fsdecode(path), json.loads(written), line, split or "train", tuple(json.loads(labels))

    def _lines(self, where: str) -> list[int]:
        sql = f"SELECT line FROM row WHERE {where} ORDER BY line LIMIT {_ENOUGH}"  # noqa: S608 - our own words
        return [line for (line,) in self._connection.execute(sql)]

    def _one(self, sql: str) -> int:
        return int(self._connection.execute(sql).fetchone()[0])


def _fill(book: _Book, file: str, root: str, listing: Listing) -> list[BadRow]:
    """Take all rows; gives those that can't be used."""
    bad: list[BadRow] = []
    for number, row in enumerate(read_rows(file), start=1):
        listing.reading(number)
        if isinstance(row, BadRow):
            bad.append(row)
        else:
            reason = book.add(row, place(root, row.path))
            if reason is not None:
                bad.append(BadRow(row.line, reason))
        if len(bad) >= _ENOUGH:
            break
    return bad


def _bad_rows(file: str, bad: list[BadRow]) -> DatasetError:
    lines = [f"  line {row.line}: {row.reason}" for row in bad[:_SHOWN]]
    count = f"{len(bad):,}" if len(bad) < _ENOUGH else f"{_ENOUGH:,} or more"
    more = ["  and more"] if len(bad) > _SHOWN else []
    rows = "1 row that can't be used" if len(bad) == 1 else f"{count} rows that can't be used"
    return DatasetError(
        "\n".join([f"{printable(file)} has {rows}:", *lines, *more]), instruction="Mend them and try again."
    )


def _words(labels: tuple[str, ...] | list[str]) -> str:
    return ", ".join(sorted(labels)) or "none"


def _list(book: _Book, root: str, listing: Listing) -> None:
    for path, written, line, split, labels in book.images():
        found = look(root, path, written)
        if isinstance(found, str):
            listing.leave_out(path, "missing", f"line {line}: {found}")
            continue
        real, status = found
        size, mtime_ns = status.st_size, status.st_mtime_ns
        if book.several:
            listing.add_labelled_image(split, labels, real, size=size, mtime_ns=mtime_ns)
        else:
            listing.add_image(split, labels[0], real, size=size, mtime_ns=mtime_ns)
