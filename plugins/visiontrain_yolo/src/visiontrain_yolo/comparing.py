"""How far the outputs of an exported detector are from those of the detector itself, as shares from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from ultralytics.utils.ops import xywhr2xyxyxyxy

from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.object_comparing import Outputs, best_places, box_distances, largest, matched_rows

__all__ = ["difference_of"]

#: Outputs that an image has once, not once a place.
_SHARED = ("prototypes",)


def difference_of(task: Task, names: Sequence[str], wanted: Sequence[Any], found: Sequence[Any]) -> dict[str, float]:
    """How far apart two outputs for one image are.

    ``scores``: the largest difference of one, of all. Of places with a score of 0.001 or more, the 300 best ones, and
    of the 10 best ones anyway:
    ``boxes``: 1 less the intersection over union; of turned boxes, how far a corner is off as a share of the diagonal;
    ``keypoints``: the same of a point, or the difference of its score; ``masks``: the largest difference of the
    probability that a pixel is the object's. Boxes with a side below a pixel are compared as if it were one.

    Args:
        task: What the model is for.
        names: Of the outputs.
        wanted: The model's, without the batch.
        found: Those of the exported one.
    """
    one, other = dict(zip(names, wanted, strict=True)), dict(zip(names, found, strict=True))
    scores = (one["scores"] - other["scores"]).abs().max()
    if "labels" in one:
        one, other = matched_rows(one, other, partial(_of_boxes, task), shared=_SHARED)
    else:
        one, other = best_places(one, other, shared=_SHARED)
    differences = {"scores": scores, "boxes": largest(_of_boxes(task, one["boxes"], other["boxes"]))}
    if task is Task.pose:
        differences["keypoints"] = largest(_of_points(one, other))
    elif task is Task.segment:
        differences["masks"] = largest(_of_masks(one, other))
    return {name: float(value) for name, value in differences.items()}


def _of_boxes(task: Task, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    if task is Task.obb:
        turn: Any = xywhr2xyxyxyxy
        distances: torch.Tensor = (turn(one) - turn(other)).norm(dim=-1).amax(-1)
        diagonals: torch.Tensor = one[:, 2:4].norm(dim=1)
        return distances / diagonals.clamp(min=1)
    return box_distances(one, other)


def _of_points(one: Outputs, other: Outputs) -> torch.Tensor:
    """Of the points of each place."""
    diagonals = (one["boxes"][:, 2:] - one["boxes"][:, :2]).norm(dim=1).clamp(min=1)
    moved = (one["keypoints"][..., :2] - other["keypoints"][..., :2]).norm(dim=2) / diagonals[:, None]
    return torch.maximum(moved, (one["keypoints"][..., 2] - other["keypoints"][..., 2]).abs())


def _of_masks(one: Outputs, other: Outputs) -> torch.Tensor:
    """Of the pixels of each place, the largest difference."""
    pairs = zip(one["coefficients"], other["coefficients"], strict=True)
    prototypes, others = one["prototypes"].flatten(1), other["prototypes"].flatten(1)
    highest = [((a @ prototypes).sigmoid() - (b @ others).sigmoid()).abs().max() for a, b in pairs]
    return torch.stack(highest) if highest else torch.zeros(0)
