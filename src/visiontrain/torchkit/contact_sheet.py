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

__all__ = ["PANEL", "Sample", "draw_sheet", "write_sheet"]

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
    if not samples:
        return []
    content = BytesIO()
    # Photos hardly get smaller by more effort, and an epoch waits for this.
    draw_sheet(samples, edges=edges, heading=heading).save(content, "PNG", compress_level=1)
    path = folder / "samples.png"
    write_whole(path, content.getvalue())
    return [(path, PICTURE)]


def draw_sheet(samples: Sequence[Sample], *, edges: Sequence[tuple[int, int]], heading: str) -> Image.Image:
    """The sheet: in each pair the truth is on the left. See `write_sheet`."""
    rows = [samples[start : start + _ACROSS] for start in range(0, len(samples), _ACROSS)]
    heights = [max(sample.image.height for sample in row) + _LINE + _GAP for row in rows]
    tops = list(accumulate(heights, initial=_GAP + _LINE))
    across = min(_ACROSS, len(samples))
    width = across * (2 * PANEL + _GAP) + (across + 1) * 2 * _GAP
    sheet = Image.new("RGB", (width, tops[-1]), (255, 255, 255))
    draw, font = ImageDraw.Draw(sheet), font_of(_SIZE)
    draw.text((2 * _GAP, _GAP), heading, font=font, fill=(0, 0, 0))
    for number, sample in enumerate(samples):
        left, top = 2 * _GAP + number % _ACROSS * (2 * PANEL + 3 * _GAP), tops[number // _ACROSS]
        name, count = legible(sample.name, number + 1), f"{len(sample.found)} found"
        for figures, text, x in ((sample.truth, name, left), (sample.found, count, left + PANEL + _GAP)):
            draw.text((x, top), text, font=font, fill=(90, 90, 90))
            panel = sample.image.copy()
            paint(panel, figures, edges=edges)
            sheet.paste(panel, (x, top + _LINE))
    return sheet
