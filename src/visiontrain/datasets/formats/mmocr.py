"""MMOCR's JSON of texts in images: quads or polygons, a file a split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from visiontrain.datasets.annotation import Annotation
from visiontrain.datasets.formats.base import Listing, Split
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.formats.json_parts import annotation_files, data_root, find_parts, has_keys
from visiontrain.datasets.formats.json_stream import read_items
from visiontrain.datasets.formats.places import Named, look, place
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["MmocrJson"]

_QUAD = 8


@dataclass(frozen=True)
class MmocrJson:
    """A JSON file with ``metainfo`` and ``data_list``, or a folder with one for each split."""

    name: ClassVar[str] = "mmocr"
    summary: ClassVar[str] = "MMOCR's JSON of boxes with four corners, one file a split or one for all"
    tasks: ClassVar[tuple[Task, ...]] = (Task.obb, Task.detect)

    def recognises(self, source: str) -> bool:
        """A JSON file by the keys that it has; a folder by one inside or one level below."""
        if os.path.isdir(source):
            return next(annotation_files(source, _is_mmocr), None) is not None
        return source.lower().endswith(".json") and _is_mmocr(source)

    def locate(self, source: str) -> tuple[str, str]:
        """What was given, and the folder above the annotations."""
        return source, data_root(source)

    def read(self, source: str, task: Task | None, listing: Listing) -> None:
        """List images and boxes.

        Raises:
            DatasetError: there are several files to choose from, or one is broken.
        """
        root = data_root(source)
        parts, others = find_parts(source, task, _is_mmocr, listing)
        for file in others:
            listing.leave_out(place(root, file), "list")
        with closing(Named()) as named:
            for part in parts:
                _read(root, part.file, part.split or "train", listing, named)
            named.leave_out_others(root, listing)


def _is_mmocr(file: str) -> bool:
    return has_keys(file, ("metainfo", "data_list", "instances"))


class _Bad(Exception):  # noqa: N818 - an entry, and no error of a program
    pass


def _read(root: str, file: str, split: Split, listing: Listing, named: Named) -> None:
    shown = place(root, file)
    names: dict[int, str] = {}
    count = 0
    for key, item in read_items(file):
        if key == "metainfo":
            names = _names(item, file)
        elif key == "data_list":
            count += 1
            listing.reading(count)
            try:
                listed = _image(root, file, item, names)
                if listed.path is None:
                    listing.leave_out(listed.written, "missing", listed.reason)
                elif not named.add(split, listed.path):
                    raise _Bad(f"there is another entry for {printable(listed.path)}")
                else:
                    _hand_on(split, listed, listing)
            except _Bad as bad:
                listing.add_flaw(shown, "bad-annotations", f"entry {count:,} of data_list: {bad}")


def _names(metainfo: Any, file: str) -> dict[int, str]:
    try:
        return {int(one["id"]): str(one["name"]) for one in metainfo["category"]}
    except (TypeError, KeyError, ValueError) as e:
        raise DatasetError(
            f"{printable(file)}: its metainfo names no categories", instruction="Export it again, with `category`."
        ) from e


@dataclass(frozen=True)
class _Image:
    """An entry: its image is at `path`, or is not there, for a `reason`."""

    written: str
    path: str | None = None
    status: os.stat_result | None = None
    reason: str = ""
    annotations: tuple[Annotation, ...] = ()
    declared: tuple[int, int] | None = None


def _image(root: str, file: str, item: Any, names: Mapping[int, str]) -> _Image:
    name = item.get("img_path") if isinstance(item, Mapping) else None
    if not isinstance(name, str) or not name or "\0" in name:
        raise _Bad(f"its img_path is {name!r}, which is none")
    written = place(root, os.path.join(os.path.dirname(file), name))
    found = look(root, written, os.path.join(os.path.dirname(file), name))
    if isinstance(found, str):
        return _Image(written, reason=found)
    annotations = tuple(_annotations(item.get("instances"), names, place(root, file), name))
    width, height = item.get("width"), item.get("height")
    known = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
    return _Image(written, *found, annotations=annotations, declared=(width, height) if known else None)


def _hand_on(split: Split, image: _Image, listing: Listing) -> None:
    for name in dict.fromkeys(one.name for one in image.annotations):
        listing.add_class(name)
    status = cast("os.stat_result", image.status)
    listing.add_annotated_image(
        split,
        cast("str", image.path),
        image.annotations,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        declared=image.declared,
    )


def _annotations(instances: Any, names: Mapping[int, str], shown: str, image: str) -> Iterator[Annotation]:
    if not isinstance(instances, list):
        raise _Bad("its instances are no list")
    for number, one in enumerate(instances, start=1):
        try:
            points = one.get("polygon") or []
            quad = tuple(map(float, points))
            box = None if quad else tuple(map(float, one["bbox"]))
            label = names[one.get("bbox_label", 0)]
            ignored = bool(one.get("ignore"))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as e:
            raise _Bad(f"instance {number}: {type(e).__name__} {e}") from e
        if box is not None and len(box) != 4:  # noqa: PLR2004
            raise _Bad(f"instance {number}: its bbox has {len(box)} numbers")
        yield Annotation(
            label,
            f"{image}, instance {number}",
            box=None if box is None else (box[0], box[1], box[2], box[3]),
            polygons=() if len(quad) == _QUAD or not quad else (quad,),
            quad=quad if len(quad) == _QUAD else None,
            difficult=ignored,
            file=shown,
        )
