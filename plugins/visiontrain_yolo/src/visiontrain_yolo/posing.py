"""The evaluation of keypoints."""

from __future__ import annotations

from typing import Any, ClassVar

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from ultralytics.utils.metrics import OKS_SIGMA, PoseMetrics, kpt_iou

from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.evaluation import DetectionEvaluation, Values, match

__all__ = ["PoseEvaluation"]

#: An object's area as a share of its box's, as COCO's evaluation of poses has it.
_AREA = 0.53


class PoseEvaluation(DetectionEvaluation):
    """Boxes, and how near their keypoints are to those of the object (COCO's object keypoint similarity)."""

    metrics_of: Any = PoseMetrics
    heads = ("box", "pose")
    measures: ClassVar[dict[str, tuple[str, str]]] = {"box": ("box", "IoU"), "pose": ("pose", "OKS")}

    def predicted(self, boxes: torch.Tensor, extra: Any, number: int) -> Values:
        """With ``keypoints``, (boxes, keypoints, 3)."""
        return {**super().predicted(boxes, extra, number), "keypoints": boxes[:, 6:].reshape(len(boxes), -1, 3)}

    def truth(self, batch: ObjectBatch, number: int, sides: torch.Tensor) -> Values:
        """Likewise."""
        points = batch.values["keypoints"][batch.values["batch_idx"] == number].clone()
        points[..., :2] *= sides[:2]
        return {**super().truth(batch, number, sides), "keypoints": points}

    def hits(self, predicted: Values, truth: Values) -> dict[str, Any]:
        """Of boxes, and of poses."""
        count = truth["keypoints"].shape[1]
        sigmas = list(OKS_SIGMA) if count == len(OKS_SIGMA) else [1 / count] * count
        areas = (truth["bboxes"][:, 2:] - truth["bboxes"][:, :2]).prod(1) * _AREA
        likeness = kpt_iou(truth["keypoints"], predicted["keypoints"], area=areas, sigma=sigmas)
        return {**super().hits(predicted, truth), "tp_p": match(likeness, predicted["cls"], truth["cls"])}
