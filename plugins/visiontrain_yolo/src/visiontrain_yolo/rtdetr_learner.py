"""RT-DETR as the training loop sees it."""

from __future__ import annotations

from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch

from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.learner import LossParts, ObjectLearner

__all__ = ["RtDetrLearner"]


class RtDetrLearner(ObjectLearner):
    """Queries are matched with objects, and further ones, made of objects with noise, are to find them again.

    The noise is drawn from torch's global generators, whose state a checkpoint keeps. The loss is a mean over objects.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._model: Any = self.model
        self._model.criterion = self._criterion

    def forward(self, pixels: torch.Tensor, batch: ObjectBatch) -> Any:
        """With the noised queries."""
        values, numbers = batch.values, batch.values["batch_idx"].long()
        targets = {
            "cls": values["cls"].long().view(-1),
            "bboxes": values["bboxes"],
            "batch_idx": numbers,
            "gt_groups": torch.bincount(numbers, minlength=len(batch)).tolist(),
        }
        return self._model.predict(pixels, batch=targets)

    def loss(self, predictions: Any, batch: ObjectBatch) -> tuple[torch.Tensor, LossParts]:
        """The mean over objects, times the images, as that of other models is a sum over images."""
        given = predictions if self.model.training else (None, predictions)
        with torch.autocast(self._device.type, enabled=False):
            total, made_of = self._model.loss(batch.values, given)
        return total * len(batch), made_of
