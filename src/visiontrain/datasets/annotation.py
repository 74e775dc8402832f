"""An object as its file gives it, before the size of its image is known; and what can be wrong with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from visiontrain.datasets.masks import Mask

__all__ = ["Annotation", "FlawCode"]

#: What can be wrong with an annotation, see `visiontrain.datasets.object_problems` and `mask_problems`.
FlawCode = Literal[
    "bad-annotations",
    "unknown-classes",
    "not-normalised",
    "no-outlines",
    "no-quads",
    "degenerate-boxes",
    "boxes-outside",
    "boxes-clipped",
    "keypoints-outside",
    "repeated-objects",
    "sizes-differ",
    "mask-channels",
    "mask-sizes-differ",
    "unknown-values",
    "empty-masks",
]


@dataclass(frozen=True)
class Annotation:
    """One object, unchecked.

    Args:
        name: Of its class, which was added before.
        place: Where in its file it stands, in words: ``line 3``.
        box: x1, y1, x2, y2; None where the rest says it.
        polygons: Its outline, x and y in turn.
        mask: Its pixels.
        keypoints: x, y and visibility (0, 1 or 2) in turn, for each keypoint of the skeleton; empty: none is labelled.
        quad: x and y of its four corners.
        shares: Whether numbers are shares of the image's width and height, and not pixels as shown.
        crowd: It stands for several objects.
        difficult: Not to be counted.
        truncated: Only a part of it is in the image.
        file: The file that it stands in, relative to the data's folder; empty: said by `place`.
    """

    name: str
    place: str
    box: tuple[float, float, float, float] | None = None
    polygons: tuple[tuple[float, ...], ...] = ()
    mask: Mask | None = None
    keypoints: tuple[float, ...] = ()
    quad: tuple[float, ...] | None = None
    shares: bool = False
    crowd: bool = False
    difficult: bool = False
    truncated: bool = False
    file: str = ""
