"""What a model found in an image, and where that is in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from visiontrain.protocol.inference import MaskRuns
from visiontrain.torchkit.mask_pixels import Axis, interpolated, positive_pixels
from visiontrain.torchkit.mask_runs import Bools, mask_runs
from visiontrain.torchkit.object_batches import ObjectRows
from visiontrain.torchkit.object_views import Floats

__all__ = ["FoundObjects", "Frame", "Ints", "PlacedObjects", "place_found", "place_truth"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class FoundObjects:
    """What a model found in one image, in any order.

    Args:
        scores: From 0 to 1, (objects).
        labels: Class indices, int64, (objects).
        boxes: Centre x, centre y, width and height as shares of the image without its border, (objects, 4); None: those
            around the masks.
        masks: A score for each cell of a grid over the whole canvas, above 0 where the object is more probable than
            not, (objects, rows, columns); None for the task detect.
    """

    scores: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor | None = None
    masks: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if self.boxes is None and self.masks is None:
            raise ValueError("what was found has neither boxes nor masks")


@dataclass(frozen=True)
class Frame:
    """The pixels in which places are told: those of the image itself, or those of it on the canvas.

    Args:
        width: In pixels.
        height: Likewise.
        shares: How much of the canvas's width and height the image takes.
    """

    width: int
    height: int
    shares: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class PlacedObjects:
    """Objects in pixels of a `Frame`, those of the highest score first.

    Args:
        labels: Class indices, (objects).
        scores: From 0 to 1, (objects).
        boxes: Left, top, right, bottom, inside of the frame, (objects, 4).
        masks: Of the frame's size; None for the task detect.
    """

    labels: Ints
    scores: Floats
    boxes: Floats
    masks: tuple[MaskRuns, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, rows: Bools) -> PlacedObjects:
        """Some of them."""
        masks = None
        if self.masks is not None:
            masks = tuple(mask for mask, wanted in zip(self.masks, rows.tolist(), strict=True) if wanted)
        return PlacedObjects(self.labels[rows], self.scores[rows], self.boxes[rows], masks)


def place_found(found: FoundObjects, frame: Frame, *, confidence: float = 0.0, limit: int) -> PlacedObjects:
    """What was found, in pixels: boxes are cut at the image's edges, and masks have its size.

    Rows that are not numbers, whose box has no area in the image, or whose mask has no pixel there are no objects.

    Args:
        found: In an image.
        frame: Whose pixels.
        confidence: The least score.
        limit: Objects at the most.
    """
    scores = found.scores.detach().cpu().double()
    order = scores.nan_to_num(-1.0).argsort(descending=True, stable=True)
    order = order[scores[order] >= confidence][:limit]
    labels, sure = found.labels.detach().cpu()[order].numpy(), scores[order].numpy()
    boxes, kept = np.zeros((len(order), 4)), np.ones(len(order), dtype=bool)
    masks: list[MaskRuns] | None = None
    if found.masks is not None:
        masks = []
        grids = found.masks.detach()[order.to(found.masks.device)].float().cpu()
        for number, grid in enumerate(grids):
            placed = _mask(grid, frame)
            kept[number] = placed is not None
            if placed is not None:
                boxes[number] = placed[1]
                masks.append(placed[0])
    if found.boxes is not None:
        boxes = _corners(found.boxes.detach().cpu().double()[order].numpy(), frame)
        inside: Bools = np.logical_and.reduce(boxes[:, 2:] > boxes[:, :2], axis=1)  # not of what is no number
        if masks is not None:
            masks = [mask for mask, wanted in zip(masks, inside[kept].tolist(), strict=True) if wanted]
        kept &= inside
    return PlacedObjects(labels[kept], sure[kept], boxes[kept], None if masks is None else tuple(masks))


def place_truth(objects: ObjectRows, frame: Frame) -> PlacedObjects:
    """An image's objects likewise, each with the score 1.

    Args:
        objects: Of one image.
        frame: That of the image on the canvas: masks have its pixels.
    """
    masks = None
    if objects.masks is not None:
        seen = objects.masks[:, : frame.height, : frame.width].cpu().numpy()
        masks = tuple(mask_runs(mask, left=0, top=0, width=frame.width, height=frame.height) for mask in seen)
    boxes = _corners(objects.boxes.cpu().double().numpy(), frame)
    return PlacedObjects(objects.labels.cpu().numpy(), np.ones(len(objects)), boxes, masks)


def _corners(boxes: Floats, frame: Frame) -> Floats:
    centres, halves = boxes[:, :2], boxes[:, 2:] / 2
    corners = np.concatenate([centres - halves, centres + halves], axis=1).clip(0, 1)
    scaled: Floats = corners * (frame.width, frame.height, frame.width, frame.height)
    return scaled


def _mask(grid: torch.Tensor, frame: Frame) -> tuple[MaskRuns, tuple[int, int, int, int]] | None:
    """A mask and the box around it; None where it has no pixel."""
    down = Axis(grid.shape[0], 0.0, grid.shape[0] * frame.shares[1] / frame.height)
    across = Axis(grid.shape[1], 0.0, grid.shape[1] * frame.shares[0] / frame.width)
    region = positive_pixels(grid, down=down, across=across, height=frame.height, width=frame.width)
    if region is None:
        return None
    rows, columns = region
    inside = (interpolated(grid, rows, columns, down=down, across=across) > 0).numpy()
    used_rows, used_columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if len(used_rows) == 0:
        return None
    runs = mask_runs(inside, left=columns.start, top=rows.start, width=frame.width, height=frame.height)
    left, top = columns.start, rows.start
    return runs, (
        left + int(used_columns[0]),
        top + int(used_rows[0]),
        left + int(used_columns[-1]) + 1,
        top + int(used_rows[-1]) + 1,
    )
