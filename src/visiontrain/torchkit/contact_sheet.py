"""A few images with what is in them, and beside it what a model found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate
from pathlib import Path

from PIL import Image, ImageDraw

from visiontrain.painting import Figure, font_of, legible, paint
from visiontrain.torchkit.artifacts import PICTURE, write_whole

__all__ = ["PANEL", "Pair", "Sample", "draw_sheet", "write_pairs", "write_sheet"]

#: Longer side of an image on the sheet, in pixels.
PANEL = 400

#: Pairs beside each other; pixels between panels, and of a line of text.
_ACROSS, _GAP, _LINE, _SIZE = 2, 8, 22, 14


@dataclass(frozen=True)
class Sample:
    """An image with its objects.

    Args:
        name: The file's.
        image: RGB, `PANEL` pixels the longer side.
        truth: What is in it, in pixels of `image`.
        found: What a model found, likewise.
    """

    name: str
    image: Image.Image
    truth: tuple[Figure, ...]
    found: tuple[Figure, ...]


@dataclass(frozen=True)
class Pair:
    """Two pictures of an image beside each other.

    Args:
        name: The file's, above the first one.
        truth: What is in it, painted: RGB, `PANEL` pixels the longer side.
        said: What stands above the second one.
        found: What a model found, painted likewise, of the same size.
    """

    name: str
    truth: Image.Image
    said: str
    found: Image.Image


def write_sheet(
    folder: Path, samples: Sequence[Sample], *, edges: Sequence[tuple[int, int]], heading: str
) -> list[tuple[Path, str]]:
    """Write ``samples.png``.

    Args:
        folder: The run's artifacts.
        samples: Images; where there are none nothing is written.
        edges: Pairs of keypoints that belong together, counted from 0.
        heading: What the sheet shows.

    Returns:
        The file with its kind.

    Raises:
        StorageError: the disk did not take it.
    """
    return write_pairs(folder, [_pair(sample, edges) for sample in samples], heading=heading)


def write_pairs(folder: Path, pairs: Sequence[Pair], *, heading: str) -> list[tuple[Path, str]]:
    """Write ``samples.png`` out of pictures that are painted already; as `write_sheet`."""
    if not pairs:
        return []
    content = BytesIO()
    # Photos hardly get smaller by more effort, and an epoch waits for this.
    _draw_pairs(pairs, heading=heading).save(content, "PNG", compress_level=1)
    path = folder / "samples.png"
    write_whole(path, content.getvalue())
    return [(path, PICTURE)]


def draw_sheet(samples: Sequence[Sample], *, edges: Sequence[tuple[int, int]], heading: str) -> Image.Image:
    """The sheet: in each pair the truth is on the left. See `write_sheet`."""
    return _draw_pairs([_pair(sample, edges) for sample in samples], heading=heading)


def _pair(sample: Sample, edges: Sequence[tuple[int, int]]) -> Pair:
    truth, found = sample.image.copy(), sample.image.copy()
    paint(truth, sample.truth, edges=edges)
    paint(found, sample.found, edges=edges)
    return Pair(sample.name, truth, f"{len(sample.found)} found", found)


def _draw_pairs(pairs: Sequence[Pair], *, heading: str) -> Image.Image:
    rows = [pairs[start : start + _ACROSS] for start in range(0, len(pairs), _ACROSS)]
    heights = [max(pair.truth.height for pair in row) + _LINE + _GAP for row in rows]
    tops = list(accumulate(heights, initial=_GAP + _LINE))
    across = min(_ACROSS, len(pairs))
    width = across * (2 * PANEL + _GAP) + (across + 1) * 2 * _GAP
    sheet = Image.new("RGB", (width, tops[-1]), (255, 255, 255))
    draw, font = ImageDraw.Draw(sheet), font_of(_SIZE)
    draw.text((2 * _GAP, _GAP), heading, font=font, fill=(0, 0, 0))
    for number, pair in enumerate(pairs):
        left, top = 2 * _GAP + number % _ACROSS * (2 * PANEL + 3 * _GAP), tops[number // _ACROSS]
        name = legible(pair.name, number + 1)
        for panel, text, x in ((pair.truth, name, left), (pair.found, pair.said, left + PANEL + _GAP)):
            draw.text((x, top), text, font=font, fill=(90, 90, 90))
            sheet.paste(panel, (x, top + _LINE))
    return sheet
