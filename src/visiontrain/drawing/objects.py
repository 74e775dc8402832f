"""Objects that were found, drawn into an image."""

from __future__ import annotations

from PIL import Image

from visiontrain.drawing.reading import enlarged
from visiontrain.painting import Figure, colour_of, legible, paint
from visiontrain.predictions import DetectedObject, Prediction

__all__ = ["KEYPOINT_SCORE", "with_objects"]

#: Keypoints of a lower score are not drawn: those are out of sight, and lie anywhere.
KEYPOINT_SCORE = 0.5

#: Longer side in pixels that an image has at least: a smaller one is enlarged, so that texts don't cover it.
_SIDE = 400


def with_objects(image: Image.Image, prediction: Prediction) -> Image.Image:
    """A copy of an RGB image with all objects of its prediction; the better ones lie over the others.

    Beside each box stand class and score.
    """
    drawn = enlarged(image.copy(), -(-_SIDE // max(image.size)))
    scale = drawn.width // image.width
    paint(drawn, [_figure(found, scale) for found in reversed(prediction.objects)], edges=prediction.edges)
    return drawn


def _figure(found: DetectedObject, scale: int) -> Figure:
    left, top, right, bottom = (side * scale for side in found.box)
    mask, at = _mask(found, scale)
    return Figure(
        f"{legible(found.label, found.class_index)} {found.score:.2f}",
        colour_of(found.class_index),
        (left, top, right, bottom),
        quad=None if found.quad is None else tuple(side * scale for side in found.quad),
        mask=mask,
        mask_at=at,
        keypoints=tuple(
            (point.x * scale, point.y * scale) if point.score >= KEYPOINT_SCORE else None for point in found.keypoints
        ),
    )


def _mask(found: DetectedObject, scale: int) -> tuple[Image.Image | None, tuple[int, int]]:
    """The part of the mask that holds the object, and where it lies: hundreds of whole ones would fill the memory."""
    whole = found.mask_image()
    around = None if whole is None else whole.getbbox()
    if whole is None or around is None:
        return None, (0, 0)
    part = whole.crop(around)
    size = (part.width * scale, part.height * scale)
    return part.resize(size, Image.Resampling.NEAREST), (around[0] * scale, around[1] * scale)
