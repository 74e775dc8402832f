"""An image of an evaluation with what is in it and what was found, for a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from visiontrain.painting import Colour, Figure, colour_of, legible
from visiontrain.protocol.inference import MaskRuns
from visiontrain.torchkit.contact_sheet import PANEL, Sample
from visiontrain.torchkit.mask_runs import mask_pixels
from visiontrain.torchkit.object_batches import SourceImage
from visiontrain.torchkit.object_found import Frame, PlacedObjects
from visiontrain.torchkit.sample_choice import CONFIDENCE, OBJECTS

__all__ = ["sample_of"]

#: Of 255: a mask that is shown larger than it was found has levels between outside and inside.
_HALF = 127

_GREY: Colour = (150, 150, 150)


def sample_of(
    pixels: torch.Tensor,
    source: SourceImage,
    frame: Frame,
    classes: Sequence[str],
    *,
    truth: PlacedObjects,
    passed_over: PlacedObjects,
    found: PlacedObjects,
) -> Sample:
    """What the contact sheet shows of an image.

    Args:
        pixels: Of the canvas, uint8, (height, width, 3).
        source: Where it comes from; it is shown in that shape.
        frame: Of the image on the canvas, whose pixels the objects are told in.
        classes: Names by class index.
        truth: Its objects.
        passed_over: Those that are not counted; they are grey.
        found: What the model found; what has a score of 0.25 or more is shown.
    """
    scale = PANEL / max(source.width, source.height)
    shown = max(1, round(source.width * scale)), max(1, round(source.height * scale))
    seen = pixels[: frame.height, : frame.width].cpu().numpy()
    image = Image.fromarray(seen).resize(shown, Image.Resampling.BILINEAR)
    best = found.chosen(found.scores >= CONFIDENCE)
    figures = _figures(best, classes, frame, shown, scores=True)[:OBJECTS]
    grey = [
        Figure("", _GREY, figure.box, mask=figure.mask)
        for figure in _figures(passed_over, classes, frame, shown, scores=False)
    ]
    return Sample(
        Path(source.path).name,
        image,
        (*grey, *_figures(truth, classes, frame, shown, scores=False)),
        tuple(figures[::-1]),  # the best one above the others
    )


def _figures(
    objects: PlacedObjects, classes: Sequence[str], frame: Frame, shown: tuple[int, int], *, scores: bool
) -> list[Figure]:
    across, down = shown[0] / frame.width, shown[1] / frame.height
    boxes = (objects.boxes * (across, down, across, down)).tolist()
    masks = objects.masks or (None,) * len(objects)
    rows = zip(objects.labels.tolist(), objects.scores.tolist(), boxes, masks, strict=True)
    return [
        Figure(
            legible(classes[label], label) + (f" {score:.2f}" if scores else ""),
            colour_of(label),
            tuple(box),
            mask=None if mask is None else _mask(mask, shown),
        )
        for label, score, box, mask in rows
    ]


def _mask(runs: MaskRuns, shown: tuple[int, int]) -> Image.Image:
    pixels = mask_pixels(runs.height, runs.width, runs.data.encode("ascii"))
    found = Image.fromarray(pixels.astype(np.uint8) * 255).resize(shown, Image.Resampling.BILINEAR)
    return found.point([255 * (level > _HALF) for level in range(256)])
