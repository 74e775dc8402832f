"""What can be seen in an image: objects with boxes, outlines, masks, keypoints. Standard library only."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from visiontrain.datasets.masks import Mask

__all__ = ["COLUMNS", "Box", "Keypoint", "Object", "Polygon", "Quad", "Row", "Skeleton", "object_of", "row_of"]

#: Left, top, right, bottom, in pixels of the image as it is shown: from its top left corner, after EXIF orientation.
#: A box around one pixel in the corner is 0, 0, 1, 1.
Box = tuple[float, float, float, float]

#: Corners, x and y in turn, in pixels as of a box; three or more.
Polygon = tuple[float, ...]

#: The four corners of a box that may be turned, x and y in turn, in pixels as of a box, in order around it.
Quad = tuple[float, float, float, float, float, float, float, float]


class Keypoint(NamedTuple):
    """A point of an object, in pixels. `visibility`: 0 not labelled (x and y mean nothing), 1 hidden, 2 visible."""

    x: float
    y: float
    visibility: int


@dataclass(frozen=True)
class Skeleton:
    """What the keypoints of all objects are.

    Args:
        names: Of each keypoint; made up (``0``, ``1``...) where the data has none.
        edges: Pairs of keypoints that belong together, counted from 0.
        flip: For each keypoint the one that it becomes in a mirrored image; empty where the data doesn't say.
        visibility: Whether the data tells hidden keypoints from visible ones.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    flip: tuple[int, ...] = ()
    visibility: bool = True

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Skeleton:
        """From what `to_json` gave."""
        found = json.loads(text)
        edges = tuple((int(one), int(other)) for one, other in found["edges"])
        return cls(tuple(found["names"]), edges, tuple(found["flip"]), found["visibility"])


@dataclass(frozen=True)
class Object:
    """One object of an image.

    Args:
        label: Class index.
        box: Around it, inside of the image, with a width and a height above 0.
        polygons: Its outline, for the task segment: one polygon a visible part. Inside of the image.
        mask: Its pixels, for the task segment, where the data has these instead of polygons.
        keypoints: For the task pose: as many as the index's skeleton has.
        quad: For the task obb: its turned box, which may reach out of the image.
        crowd: It stands for several objects that were not told apart. Neither trained on nor counted.
        difficult: Its annotator could hardly tell: not counted when a model is evaluated.
        truncated: Only a part of it is in the image.

    Polygons, keypoints and quads have the precision of 32 bits, boxes that of 64.
    """

    label: int
    box: Box
    polygons: tuple[Polygon, ...] = ()
    mask: Mask | None = None
    keypoints: tuple[Keypoint, ...] = ()
    quad: Quad | None = None
    crowd: bool = False
    difficult: bool = False
    truncated: bool = False

    @property
    def ignored(self) -> bool:
        """Whether an evaluation passes over it: neither finding nor missing it counts."""
        return self.crowd or self.difficult


#: An object as the index keeps it; without its label, which comes first.
Row = tuple[float, float, float, float, int, "bytes | None", "bytes | None", "bytes | None", "bytes | None"]
COLUMNS = "x1, y1, x2, y2, flags, polygons, mask, keypoints, quad"

_CROWD, _DIFFICULT, _TRUNCATED = 1, 2, 4


def row_of(found: Object) -> Row:
    """How the index keeps an object."""
    flags = found.crowd * _CROWD | found.difficult * _DIFFICULT | found.truncated * _TRUNCATED
    mask = found.mask
    return (
        *found.box,
        flags,
        _pack(found.polygons) if found.polygons else None,
        None if mask is None else struct.pack("<II", mask.height, mask.width) + mask.data,
        _floats([value for point in found.keypoints for value in point]) if found.keypoints else None,
        None if found.quad is None else _floats(found.quad),
    )


def object_of(label: int, row: Row) -> Object:
    """The object that a row of the index holds."""
    x1, y1, x2, y2, flags, polygons, mask, keypoints, quad = row
    return Object(
        label,
        (x1, y1, x2, y2),
        _unpack(polygons) if polygons else (),
        _mask(mask) if mask else None,
        tuple(Keypoint(x, y, int(v)) for x, y, v in struct.iter_unpack("<fff", keypoints)) if keypoints else (),
        struct.unpack("<8f", quad) if quad else None,
        bool(flags & _CROWD),
        bool(flags & _DIFFICULT),
        bool(flags & _TRUNCATED),
    )


def _mask(data: bytes) -> Mask:
    height, width = struct.unpack_from("<II", data)
    return Mask(height, width, data[8:])


def _floats(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _pack(polygons: Sequence[Polygon]) -> bytes:
    """Number of polygons, how many numbers each has, and the numbers."""
    head = struct.pack(f"<{len(polygons) + 1}I", len(polygons), *map(len, polygons))
    return head + b"".join(map(_floats, polygons))


def _unpack(data: bytes) -> tuple[Polygon, ...]:
    (count,) = struct.unpack_from("<I", data)
    lengths = struct.unpack_from(f"<{count}I", data, 4)
    at = 4 * (count + 1)
    found = []
    for length in lengths:
        found.append(struct.unpack_from(f"<{length}f", data, at))
        at += 4 * length
    return tuple(found)
