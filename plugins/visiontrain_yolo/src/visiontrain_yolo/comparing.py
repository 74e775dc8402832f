"""How far the outputs of an exported detector are from those of the detector itself, as shares from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from ultralytics.utils.ops import xywhr2xyxyxyxy

from visiontrain.protocol.tasks import Task

__all__ = ["difference_of"]

#: The least score of what is looked at closely, as evaluation counts it; and how many places at the most and the least.
_CONFIDENCE = 0.001
_PLACES, _ALWAYS = 300, 10

#: Rows whose scores differ by less may come in another order.
_SAME_SCORE = 1e-3

Outputs = dict[str, torch.Tensor]


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
        one, other = _matched(task, one, other)
    else:
        one, other = _best(one, other)
    differences = {"scores": scores, "boxes": _largest(_of_boxes(task, one["boxes"], other["boxes"]))}
    if task is Task.pose:
        differences["keypoints"] = _largest(_of_points(one, other))
    elif task is Task.segment:
        differences["masks"] = _largest(_of_masks(one, other))
    return {name: float(value) for name, value in differences.items()}


def _largest(values: torch.Tensor) -> torch.Tensor:
    return values.max() if values.numel() else torch.zeros(())


def _best(one: Outputs, other: Outputs) -> tuple[Outputs, Outputs]:
    """The places with the best scores, of both alike."""
    scores = one["scores"].amax(1)
    # What is not a number is kept, and found out.
    places = scores.nan_to_num(1.0).topk(min(_PLACES, len(scores))).indices
    places = places[~(scores[places] < _CONFIDENCE) | (torch.arange(len(places)) < _ALWAYS)]
    return _taken(one, places), _taken(other, places)


def _taken(values: Outputs, places: torch.Tensor) -> Outputs:
    return {name: value if name == "prototypes" else value[places] for name, value in values.items()}


def _matched(task: Task, one: Outputs, other: Outputs) -> tuple[Outputs, Outputs]:
    """Rows with a partner each: of the same class and about the same score, the nearest box.

    Rows with about the score of the last one may have been left out for another.
    """
    last = torch.minimum(one["scores"][-1], other["scores"][-1]) + _SAME_SCORE
    sure = ~(one["scores"] < _CONFIDENCE) & ~(one["scores"] < last)
    rows = (sure | (torch.arange(len(sure)) < _ALWAYS)).nonzero()[:, 0]
    partners = []
    for row in rows.tolist():
        alike = (other["labels"] == one["labels"][row]) & ((other["scores"] - one["scores"][row]).abs() < _SAME_SCORE)
        candidates = alike.nonzero()[:, 0] if alike.any() else torch.tensor([row])
        boxes = one["boxes"][row].expand(len(candidates), -1)
        partners.append(int(candidates[_of_boxes(task, boxes, other["boxes"][candidates]).argmin()]))
    return _taken(one, rows), _taken(other, torch.tensor(partners, dtype=torch.long))


def _of_boxes(task: Task, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    if task is Task.obb:
        turn: Any = xywhr2xyxyxyxy
        distances: torch.Tensor = (turn(one) - turn(other)).norm(dim=-1).amax(-1)
        diagonals: torch.Tensor = one[:, 2:4].norm(dim=1)
        return distances / diagonals.clamp(min=1)
    (first, last), (others_first, others_last) = _sides(one), _sides(other)
    shared = (torch.minimum(last, others_last) - torch.maximum(first, others_first)).clamp(min=0).prod(1)
    whole = (last - first).prod(1) + (others_last - others_first).prod(1) - shared
    return 1 - shared / whole


def _sides(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners in order, a pixel apart at least; in float64, for what cancels out."""
    pairs = boxes.double().reshape(-1, 2, 2)
    first, last = pairs.amin(1), pairs.amax(1)
    more = (1 - (last - first)).clamp(min=0) / 2
    return first - more, last + more


def _of_points(one: Outputs, other: Outputs) -> torch.Tensor:
    """Of the points of each place."""
    diagonals = (one["boxes"][:, 2:] - one["boxes"][:, :2]).norm(dim=1).clamp(min=1)
    moved = (one["keypoints"][..., :2] - other["keypoints"][..., :2]).norm(dim=2) / diagonals[:, None]
    return torch.maximum(moved, (one["keypoints"][..., 2] - other["keypoints"][..., 2]).abs())


def _of_masks(one: Outputs, other: Outputs) -> torch.Tensor:
    """Of the pixels of each place, the largest difference."""
    pairs = zip(one["coefficients"], other["coefficients"], strict=True)
    prototypes, others = one["prototypes"].flatten(1), other["prototypes"].flatten(1)
    largest = [((a @ prototypes).sigmoid() - (b @ others).sigmoid()).abs().max() for a, b in pairs]
    return torch.stack(largest) if largest else torch.zeros(0)
