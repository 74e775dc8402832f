"""The sample ``scenes``: several shapes an image, or none; a label file says which."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from visiontrain.datasets.shapes import CLASSES, QUALITY, draw_shapes

__all__ = ["list_scenes", "make_scenes"]

#: What an image is sure to show: one of the classes, or nothing.
_KINDS = (*CLASSES, "none")
_LIST = "labels.csv"
_PLACES = tuple((x, y) for x in (0.27, 0.73) for y in (0.27, 0.73))
_MOST = 3  # shapes an image


def make_scenes(
    folder: Path, seed: int, images_per_class: Mapping[str, int], image_size: int, image_format: str
) -> None:
    """Write ``labels.csv`` and ``<split>/<kind>-<number>.<image_format>``: RGB, `image_size` pixels square."""
    rows = []
    for split, count in images_per_class.items():
        (folder / split).mkdir(parents=True)
        for path, kind, number in _images(split, count, image_format):
            # A generator an image: changing one number changes no other image.
            source = random.Random(f"{seed}/scenes/{split}/{kind}/{number}")  # noqa: S311 - not for secrets
            names = _names(kind, source)
            places = zip(names, source.sample(_PLACES, len(names)), strict=True)
            picture = draw_shapes(places, source, image_size, wander=0.06, radius=(0.14, 0.21))
            picture.save(folder / path, quality=QUALITY)
            rows.append((path, "|".join(names), split))
    with (folder / _LIST).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "labels", "split"), *rows])


def list_scenes(images_per_class: Mapping[str, int], image_format: str) -> Iterator[PurePath]:
    """The files that `make_scenes` writes, relative to the folder."""
    yield PurePath(_LIST)
    for split, count in images_per_class.items():
        yield from (path for path, _, _ in _images(split, count, image_format))


def _images(split: str, count: int, image_format: str) -> Iterator[tuple[PurePath, str, int]]:
    for kind in _KINDS:
        yield from ((PurePath(split, f"{kind}-{number:04}.{image_format}"), kind, number) for number in range(count))


def _names(kind: str, source: random.Random) -> list[str]:
    if kind == "none":
        return []
    others = source.sample([name for name in CLASSES if name != kind], source.randrange(_MOST))
    return sorted([kind, *others])
