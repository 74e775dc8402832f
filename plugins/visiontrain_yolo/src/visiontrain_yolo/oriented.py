"""The evaluation of turned boxes."""

from __future__ import annotations

from typing import Any, ClassVar

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from ultralytics.utils.metrics import OBBMetrics, batch_probiou

from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.evaluation import DetectionEvaluation, Values, match

__all__ = ["OrientedEvaluation"]

_WITHIN = 0.5


class OrientedEvaluation(DetectionEvaluation):
    """Boxes have a centre, a width, a height and an angle; how much two overlap is told from their distributions."""

    metrics_of: Any = OBBMetrics
    rotated = True
    measures: ClassVar[dict[str, tuple[str, str]]] = {"box": ("box", "ProbIoU")}

    def predicted(self, boxes: torch.Tensor, extra: Any, number: int) -> Values:
        """With the angle as a box's fifth number."""
        found = super().predicted(boxes, extra, number)
        return {**found, "bboxes": torch.cat([boxes[:, :4], boxes[:, 6:]], dim=1)}

    def truth(self, batch: ObjectBatch, number: int, sides: torch.Tensor) -> Values:
        """Likewise."""
        chosen = batch.values["batch_idx"] == number
        boxes = batch.values["bboxes"][chosen].clone()
        boxes[:, :4] *= sides
        return {"cls": batch.values["cls"][chosen].view(-1), "bboxes": boxes}

    def hits(self, predicted: Values, truth: Values) -> dict[str, Any]:
        """By the likeness of distributions."""
        return {"tp": match(batch_probiou(truth["bboxes"], predicted["bboxes"]), predicted["cls"], truth["cls"])}

    def passed_over(self, predicted: Values, others: Values) -> torch.Tensor:
        """Those that are much like one of them."""
        same = predicted["cls"][:, None] == others["cls"][None]
        return ((batch_probiou(predicted["bboxes"], others["bboxes"]) >= _WITHIN) & same).any(1)
