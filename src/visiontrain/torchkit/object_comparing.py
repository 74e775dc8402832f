"""How far two outputs of a detector for one image are apart: what belongs together, and by how much it differs."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch.nn import functional

__all__ = ["Outputs", "best_places", "box_distances", "largest", "mask_distances", "matched_rows", "row_differences"]

#: The least score of what is looked at closely, as evaluation counts it; and how many places at the most and the least.
_CONFIDENCE = 0.001
_PLACES, _ALWAYS = 300, 10

#: Rows whose scores differ by less may come in another order.
_SAME_SCORE = 1e-3

#: Pixels of an image's side to a cell of a mask's grid.
_GRID = 4

#: An image's outputs by name, each with a row a place, or a row an object.
Outputs = dict[str, torch.Tensor]


def best_places(one: Outputs, other: Outputs, *, shared: Collection[str] = ()) -> tuple[Outputs, Outputs]:
    """Of two outputs whose places are the same ones, those that are best in the first: 300 at the most.

    Those with a score below 0.001 are left out, but for the 10 best ones.

    Args:
        one: ``scores``, (places, classes), and others.
        other: Likewise.
        shared: Names of outputs without places.
    """
    scores = one["scores"].amax(1)
    # What is not a number is kept, and found out.
    places = scores.nan_to_num(1.0).topk(min(_PLACES, len(scores))).indices
    places = places[~(scores[places] < _CONFIDENCE) | (torch.arange(len(places)) < _ALWAYS)]
    return _taken(one, places, shared), _taken(other, places, shared)


def matched_rows(
    one: Outputs,
    other: Outputs,
    distances: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    *,
    shared: Collection[str] = (),
) -> tuple[Outputs, Outputs]:
    """Of two outputs with a row an object, the best first, rows with a partner each.

    A partner is of the same class and about the same score, with the nearest box, and the nearest mask where there are
    masks. Rows with about the score of the last one may have been left out for another; they and those with a score
    below 0.001 are left out, but for the 10 best.

    Args:
        one: ``boxes``, ``scores``, (rows), ``labels``, (rows), and others; ``masks`` as `mask_distances` takes them.
        other: Likewise.
        distances: Of boxes from boxes, row by row.
        shared: Names of outputs without rows.
    """
    last = torch.minimum(one["scores"][-1], other["scores"][-1]) + _SAME_SCORE
    sure = ~(one["scores"] < _CONFIDENCE) & ~(one["scores"] < last)
    rows = (sure | (torch.arange(len(sure)) < _ALWAYS)).nonzero()[:, 0]
    partners = []
    for row in rows.tolist():
        alike = (other["labels"] == one["labels"][row]) & ((other["scores"] - one["scores"][row]).abs() < _SAME_SCORE)
        candidates = alike.nonzero()[:, 0] if alike.any() else torch.tensor([row])
        boxes = one["boxes"][row].expand(len(candidates), -1)
        apart = distances(boxes, other["boxes"][candidates])
        if "masks" in one:  # several may fill the same box
            apart = apart + mask_distances(one["masks"][row][None], other["masks"][candidates])
        partners.append(int(candidates[apart.argmin()]))
    return _taken(one, rows, shared), _taken(other, torch.tensor(partners, dtype=torch.long), shared)


def _taken(values: Outputs, places: torch.Tensor, shared: Collection[str]) -> Outputs:
    return {name: value if name in shared else value[places] for name, value in values.items()}


def box_distances(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """1 less the intersection over union of boxes (n, 4) of left, top, right, bottom in pixels, row by row.

    Boxes with a side below a pixel are compared as if it were one.
    """
    (first, last), (others_first, others_last) = _sides(one), _sides(other)
    overlap = (torch.minimum(last, others_last) - torch.maximum(first, others_first)).clamp(min=0).prod(1)
    whole = (last - first).prod(1) + (others_last - others_first).prod(1) - overlap
    return 1 - overlap / whole


def _sides(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners in order, a pixel apart at least; in float64, for what cancels out."""
    pairs = boxes.double().reshape(-1, 2, 2)
    first, last = pairs.amin(1), pairs.amax(1)
    more = (1 - (last - first)).clamp(min=0) / 2
    return first - more, last + more


def mask_distances(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The largest difference of the probability that a pixel is the object's, mask by mask.

    Args:
        one: Scores for pixels, before sigmoid, (n or 1, height, width).
        other: Likewise, (n, height, width).
    """
    return (one.sigmoid() - other.sigmoid()).abs().flatten(1).amax(1)


def largest(values: torch.Tensor) -> torch.Tensor:
    """Of any number of them; 0 of none."""
    return values.max() if values.numel() else torch.zeros(())


def row_differences(one: Outputs, other: Outputs) -> dict[str, float]:
    """How far apart two outputs with a row an object are, as shares from 0 to 1, or NaN.

    ``scores``: the largest difference of one, of all. Of the rows that `matched_rows` gives: ``boxes``, the largest of
    `box_distances`.

    Where there are ``masks`` (rows, height, width) of scores for pixels, on a grid of a fourth of the image's sides, it
    is also the largest difference of the probability that a pixel is the object's. Boxes and scores are then made of
    the pixels that are more likely the object's than not. One that is on the edge may be counted or not, and that says
    nothing: scores, of the same rows, are as far apart as such pixels do not explain, and boxes of masks with some are
    left out.
    """
    every = largest((one["scores"] - other["scores"]).abs())
    one, other = matched_rows(one, other, box_distances)
    boxes = box_distances(one["boxes"], other["boxes"])
    if "masks" not in one:
        return {"scores": float(every), "boxes": float(largest(boxes))}
    changed = _changed_share(one["masks"], other["masks"])
    scores = ((one["scores"] - other["scores"]).abs() - changed).clamp(min=0)
    return {
        "scores": float(largest(scores)),
        "boxes": float(largest(boxes[~(changed > 0)])),
        "masks": float(largest(mask_distances(one["masks"], other["masks"]))),
    }


def _changed_share(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Of the pixels of each mask the share that only one of the two has: (rows)."""
    first, second = (
        functional.interpolate(grid[None].float(), scale_factor=_GRID, mode="bilinear", align_corners=False)[0] > 0
        for grid in (one, other)
    )
    smaller = torch.minimum(first.flatten(1).sum(1), second.flatten(1).sum(1)).clamp(min=1)
    return (first != second).flatten(1).sum(1) / smaller
