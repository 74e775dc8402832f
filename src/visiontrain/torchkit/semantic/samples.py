"""An image of an evaluation with what its pixels are, and what they were taken for, for a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from visiontrain.painting import Colour, colour_of, font_of, legible
from visiontrain.torchkit.contact_sheet import PANEL, Pair
from visiontrain.torchkit.object_batches import SourceImage
from visiontrain.torchkit.object_found import Frame
from visiontrain.torchkit.semantic.batches import SemanticBatch
from visiontrain.torchkit.semantic.placing import class_pixels

__all__ = ["SHOWN", "pair_of", "thumbnail_frame"]

#: What the sheet shows.
SHOWN = "the truth, grey where it is ignored, and what the model says"

#: How much of a class's colour lies over the image.
_OPACITY = 0.5

_GREY: Colour = (150, 150, 150)

#: A class of this name is not painted, lower case.
_BACKGROUND = ("background", "_background_")

#: Names of classes beside a panel, at the most, and pixels of a line and of its letters.
_NAMED, _LINE, _SIZE = 8, 16, 12


def thumbnail_frame(source: SourceImage, shares: tuple[float, float]) -> Frame:
    """The pixels of a panel that shows an image in its own shape.

    Args:
        source: The image.
        shares: How much of the canvas's width and height it takes.
    """
    scale = PANEL / max(source.width, source.height)
    return Frame(max(1, round(source.width * scale)), max(1, round(source.height * scale)), shares)


def pair_of(batch: SemanticBatch, number: int, maps: torch.Tensor, frame: Frame, classes: Sequence[str]) -> Pair:
    """What the contact sheet shows of an image.

    Args:
        batch: On the CPU.
        number: Of the image in it.
        maps: Its scores, (classes, rows, columns).
        frame: From `thumbnail_frame`.
        classes: Names by class index.
    """
    tall, wide = batch.extents[number].tolist()
    size = frame.width, frame.height
    image = Image.fromarray(batch.pixels[number, :tall, :wide].numpy()).resize(size, Image.Resampling.BILINEAR)
    truth = batch.truth_of(number).numpy()
    rows = np.arange(frame.height) * truth.shape[0] // frame.height
    columns = np.arange(frame.width) * truth.shape[1] // frame.width
    source = batch.sources[number]
    return Pair(
        Path(source.path).name,
        _painted(image, torch.from_numpy(truth[rows[:, None], columns[None]]).long(), classes),
        "found",
        _painted(image, class_pixels(maps, frame), classes),
    )


def _painted(image: Image.Image, labels: torch.Tensor, classes: Sequence[str]) -> Image.Image:
    """An image below the colours of its classes, with the names of the largest ones."""
    pixels, over = np.asarray(image).astype(np.float32), labels.numpy()
    present, counts = np.unique(over, return_counts=True)
    named: list[tuple[str, Colour]] = []
    for label in present[np.argsort(-counts, kind="stable")].tolist():
        if label < len(classes) and classes[label].lower() in _BACKGROUND:
            continue
        colour = colour_of(label) if label < len(classes) else _GREY
        inside = over == label
        pixels[inside] = pixels[inside] * (1 - _OPACITY) + np.array(colour, dtype=np.float32) * _OPACITY
        if label < len(classes):
            named.append((legible(classes[label], label), colour))
    painted = Image.fromarray(pixels.round().astype(np.uint8))
    _name(painted, named[:_NAMED])
    return painted


def _name(image: Image.Image, names: Sequence[tuple[str, Colour]]) -> None:
    draw, font = ImageDraw.Draw(image), font_of(_SIZE)
    for number, (name, colour) in enumerate(names):
        top = 2 + number * _LINE
        right = int(draw.textbbox((0, 0), name, font=font)[2]) + _SIZE + 10
        draw.rectangle((2, top, right, top + _LINE - 1), fill=(0, 0, 0))
        draw.rectangle((4, top + 2, 4 + _SIZE - 2, top + _SIZE), fill=colour)
        draw.text((6 + _SIZE, top), name, font=font, fill=(255, 255, 255))
