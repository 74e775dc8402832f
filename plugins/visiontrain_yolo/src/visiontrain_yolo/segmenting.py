"""The evaluation of instances' masks."""

from __future__ import annotations

from typing import Any, ClassVar

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from ultralytics.utils.metrics import SegmentMetrics, mask_iou
from ultralytics.utils.ops import process_mask

from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.evaluation import DetectionEvaluation, Values, match

__all__ = ["SegmentEvaluation"]

#: How many times smaller than the image a mask is.
_RATIO = 4


class SegmentEvaluation(DetectionEvaluation):
    """Boxes, and the pixels in them; both at a quarter of the image's sides, as Ultralytics evaluates."""

    metrics_of: Any = SegmentMetrics
    heads = ("box", "mask")
    measures: ClassVar[dict[str, tuple[str, str]]] = {"box": ("box", "IoU"), "seg": ("mask", "IoU")}

    def decoded(self, found: Any) -> tuple[torch.Tensor, Any]:
        """Boxes with coefficients, and the masks that these mix."""
        boxes, prototypes = found
        return boxes, prototypes[0] if isinstance(prototypes, tuple) else prototypes

    def predicted(self, boxes: torch.Tensor, extra: Any, number: int) -> Values:
        """With ``masks``, (boxes, height, width)."""
        prototypes = extra[number].float()
        size = [side * _RATIO for side in prototypes.shape[1:]]
        cut: Any = process_mask
        masks = cut(prototypes, boxes[:, 6:], boxes[:, :4], shape=size)
        return {**super().predicted(boxes, extra, number), "masks": masks}

    def split(self, batch: ObjectBatch) -> tuple[ObjectBatch, ObjectBatch]:
        """Objects keep their number in the image's mask, and what is passed over is not in that of what counts."""
        whole = ObjectBatch({**batch.values, "number": _numbers(batch)}, batch.epoch, batch.first)
        counted, others = super().split(whole)
        if len(others.values["cls"]):
            counted.values["masks"] = _renumbered(counted)
            counted.values["number"] = _numbers(counted)
        return counted, others

    def truth(self, batch: ObjectBatch, number: int, sides: torch.Tensor) -> Values:
        """With ``masks``."""
        rows = batch.values["number"][batch.values["batch_idx"] == number]
        masks = batch.values["masks"][number][None] == rows[:, None, None]
        return {**super().truth(batch, number, sides), "masks": masks}

    def hits(self, predicted: Values, truth: Values) -> dict[str, Any]:
        """Of boxes, and of masks."""
        overlap = mask_iou(truth["masks"].flatten(1).float(), predicted["masks"].flatten(1).float())
        return {**super().hits(predicted, truth), "tp_m": match(overlap, predicted["cls"], truth["cls"])}


def _numbers(batch: ObjectBatch) -> torch.Tensor:
    """Each object's number in its image, counted from 1."""
    images = batch.values["batch_idx"]
    found = torch.zeros_like(images)
    for image in range(len(batch)):
        chosen = images == image
        found[chosen] = torch.arange(1, int(chosen.sum()) + 1, device=images.device, dtype=images.dtype)
    return found


def _renumbered(batch: ObjectBatch) -> torch.Tensor:
    """The images' masks with these numbers; 0 where another object was."""
    masks, numbers = batch.values["masks"], batch.values["number"]
    found = torch.zeros_like(masks)
    for image in range(len(batch)):
        chosen = numbers[batch.values["batch_idx"] == image]
        for new, old in enumerate(chosen.tolist(), start=1):
            found[image][masks[image] == old] = new
    return found
