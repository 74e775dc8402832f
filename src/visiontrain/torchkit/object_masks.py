"""Outlines and masks of the index as the pixels of a view. Needs pycocotools, whose rules for outlines are COCO's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pycocotools import mask as coco

from visiontrain.datasets.objects import Object
from visiontrain.torchkit.mask_runs import Bools, mask_pixels
from visiontrain.torchkit.object_views import Floats, View

__all__ = ["masks_in"]


def masks_in(objects: Sequence[Object], view: View, canvas: tuple[int, int]) -> torch.Tensor:
    """The pixels of each object that are seen; of a crowd without outline and mask those in its box.

    Args:
        objects: Of an image.
        view: What is seen of it.
        canvas: Height and width in pixels.

    Returns:
        bool, (objects, height, width).
    """
    found = np.zeros((len(objects), *canvas), dtype=bool)
    tall, wide = view.extent
    for each, mask in zip(objects, found, strict=True):
        mask[:tall, :wide] = _seen(each, view)
    return torch.from_numpy(found)


def _seen(found: Object, view: View) -> Bools:
    if found.mask is not None and not found.polygons:
        return _cut(mask_pixels(found.mask.height, found.mask.width, found.mask.data), view)
    left, top, right, bottom = found.box
    outlines = found.polygons or ((left, top, right, top, right, bottom, left, bottom),)
    tall, wide = view.extent
    lines = [(view.shares(_points(outline)) * (wide, tall)).reshape(-1).tolist() for outline in outlines]
    runs: bytes = coco.merge(coco.frPyObjects(lines, tall, wide))["counts"]
    return mask_pixels(tall, wide, runs)


def _points(outline: Sequence[float]) -> Floats:
    return np.array(outline, dtype=np.float64).reshape(-1, 2)


def _cut(mask: Bools, view: View) -> Bools:
    """Of an image's mask (height, width) what a view shows: each pixel is the one that its middle lies in."""
    tall, wide = view.extent
    rows = np.floor(view.places(tall, across=False)).astype(np.int64)
    columns = np.floor(view.places(wide, across=True)).astype(np.int64)
    inside = ((rows >= 0) & (rows < mask.shape[0]))[:, None] & ((columns >= 0) & (columns < mask.shape[1]))
    seen: Bools = inside & mask[rows.clip(0, mask.shape[0] - 1)[:, None], columns.clip(0, mask.shape[1] - 1)]
    return seen
