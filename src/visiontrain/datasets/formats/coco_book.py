"""The entries of COCO files in a temporary database: they come in any order, and there may be millions."""

from __future__ import annotations

import marshal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["BookedAnnotation", "BookedImage", "CocoBook"]


@dataclass(frozen=True)
class BookedImage:
    """An image as its file has it: its id as text, and the file's name."""

    part: int
    id: str
    file_name: str
    size: tuple[int, int] | None


@dataclass(frozen=True)
class BookedAnnotation:
    """An annotation as its file has it, but for what nobody reads."""

    id: str
    image: str
    category: Any
    bbox: Any
    segmentation: Any
    keypoints: Any
    crowd: bool
    ignored: bool


class CocoBook:
    """Images and annotations by part, which is the number of their file."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(
            "CREATE TABLE image (part INTEGER, id TEXT, file_name TEXT, width INTEGER, height INTEGER,"
            " PRIMARY KEY (part, id));"
            "CREATE TABLE annotation (part INTEGER, image TEXT, content BLOB);"
        )
        self._connection.execute("BEGIN")

    def close(self) -> None:
        """Forget all."""
        self._connection.close()

    def add_image(self, image: BookedImage) -> bool:
        """Take an image; False where its id is there already."""
        width, height = image.size or (None, None)
        done = self._connection.execute(
            "INSERT OR IGNORE INTO image VALUES (?, ?, ?, ?, ?)", (image.part, image.id, image.file_name, width, height)
        )
        return done.rowcount > 0

    def add_annotation(self, part: int, found: BookedAnnotation) -> None:
        """Take an annotation."""
        content = marshal.dumps(  # read by this very process
            (
                found.id,
                found.image,
                found.category,
                found.bbox,
                found.segmentation,
                found.keypoints,
                found.crowd,
                found.ignored,
            )
        )
        self._connection.execute("INSERT INTO annotation VALUES (?, ?, ?)", (part, found.image, content))

    def finish(self) -> None:
        """All is there: make it fast to ask for."""
        self._connection.execute("CREATE INDEX annotation_image ON annotation (part, image)")

    def images(self, part: int) -> Iterator[BookedImage]:
        """The images of a part in the order of its file."""
        for number, name, file_name, width, height in self._connection.execute(
            "SELECT part, id, file_name, width, height FROM image WHERE part = ? ORDER BY rowid", (part,)
        ):
            yield BookedImage(number, name, file_name, None if width is None else (width, height))

    def annotations(self, image: BookedImage) -> Iterator[BookedAnnotation]:
        """Those of an image, in the order of its file."""
        rows = self._connection.execute(
            "SELECT content FROM annotation WHERE part = ? AND image = ? ORDER BY rowid", (image.part, image.id)
        )
        yield from (BookedAnnotation(*marshal.loads(content)) for (content,) in rows)  # noqa: S302

    def orphans(self, part: int) -> Iterator[BookedAnnotation]:
        """Annotations of images that are not listed."""
        rows = self._connection.execute(
            "SELECT content FROM annotation WHERE part = ? AND image NOT IN (SELECT id FROM image WHERE part = ?)",
            (part, part),
        )
        yield from (BookedAnnotation(*marshal.loads(content)) for (content,) in rows)  # noqa: S302
