"""Detection with models of transformers: their losses, and what they found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from visiontrain.hyperparameters.detection import DetectionOptions
from visiontrain.hyperparameters.optimizers import Start
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.object_batches import ObjectBatch, pixel_mask
from visiontrain.torchkit.object_evaluation import Findings
from visiontrain.torchkit.object_found import FoundObjects
from visiontrain.torchkit.object_learner import LossParts, ObjectLearner
from visiontrain.torchkit.object_task import ObjectTask
from visiontrain.torchkit.transforms import Normalize
from visiontrain.torchkit.vision_task import Setup
from visiontrain_hf.detector import HfDetector
from visiontrain_hf.exported_detector import ExportedDetector, rows_of
from visiontrain_hf.options import ADAM

__all__ = ["Detection", "DetectorLearner", "loss_parts"]

#: transformers' names of what a loss is made of. ``fgl`` and ``ddf`` are D-FINE's (arXiv:2410.13842): its boxes' sides
#: as distributions, and what earlier layers learn of the last one's.
_NAMES = {"ce": "cls", "vfl": "cls", "bbox": "l1", "giou": "giou", "fgl": "fgl", "ddf": "ddf"}
_PART = re.compile(rf"loss_({'|'.join(_NAMES)})(_\w+)?")

#: At a batch size of 32. Trained weights as in DETR, RT-DETR and D-FINE: 1e-4 to 2e-4.
_RATES = Start(scratch_batch_norm=1.5e-3, scratch=1e-3, fine_tuning=1e-4)


class Detection(ObjectTask):
    """Boxes."""

    def __init__(self) -> None:
        super().__init__(Task.detect)

    def make_learner(
        self, model: nn.Module, classes: tuple[str, ...], normalize: Normalize, device: torch.device
    ) -> DetectorLearner:
        """With transformers' own loss."""
        return DetectorLearner(_ours(model), classes, normalize, device)

    def as_exported(self, model: nn.Module) -> nn.Module:
        """A row an object."""
        return ExportedDetector(_ours(model))

    def learning_rates(self, setup: Setup[DetectionOptions]) -> Start | None:
        """As in the papers, of Adam's kind."""
        return _RATES if setup.options.optimizer in ADAM else None


class DetectorLearner(ObjectLearner):
    """A detector with transformers' own loss: queries are matched with objects, each object with one.

    RT-DETR and D-FINE learn from further queries, made of objects with noise, as well. The noise is drawn from torch's
    global generators, whose state a checkpoint keeps. There is none in validation.
    """

    def __init__(self, model: HfDetector, classes: tuple[str, ...], normalize: Normalize, device: torch.device) -> None:
        super().__init__(model, classes, normalize, device, masks=False)
        self._detector = model

    def loss(self, batch: ObjectBatch) -> tuple[torch.Tensor, LossParts]:
        """Its parts are sums over the network's layers, each as it counts in the loss."""
        out = self._compute(batch)
        return out.loss, loss_parts(out.loss_dict, self._detector.config)

    def find(self, batch: ObjectBatch) -> Findings:
        """What it says, and its loss."""
        out = self._compute(batch)
        found = self._found(out, batch.extents, batch.pixels)
        return Findings(found, out.loss, loss_parts(out.loss_dict, self._detector.config))

    def say(self, pixels: torch.Tensor, extents: torch.Tensor) -> Iterable[FoundObjects]:
        """As many objects as there are queries."""
        out = self._detector(self.normalize(pixels), self._mask(extents, pixels))
        return self._found(out, extents, pixels)

    def _compute(self, batch: ObjectBatch) -> Any:
        shares = self._shares(batch.extents, batch.pixels)
        labels = []
        for number in range(len(batch)):
            objects = batch.objects.of(number)
            boxes = objects.boxes if shares is None else objects.boxes * shares[number]
            labels.append({"class_labels": objects.labels, "boxes": boxes})
        return self._detector(self.normalize(batch.pixels), self._mask(batch.extents, batch.pixels), labels)

    def _mask(self, extents: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor | None:
        return pixel_mask(extents, *pixels.shape[1:3]) if self._detector.sees_borders else None

    def _shares(self, extents: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor | None:
        """What shares of images are multiplied by to be those of the network: (batch, 4). None: they are the same."""
        if self._detector.sees_borders:
            return None
        height, width = pixels.shape[1:3]
        return (extents.flip(1) / torch.tensor([width, height], device=extents.device)).repeat(1, 2)

    def _found(self, out: Any, extents: torch.Tensor, pixels: torch.Tensor) -> list[FoundObjects]:
        scores, labels, boxes = rows_of(out.logits, out.pred_boxes, classes=len(self.classes))
        shares = self._shares(extents, pixels)
        if shares is not None:
            boxes = boxes / shares[:, None]
        return [FoundObjects(*each) for each in zip(scores, labels, boxes, strict=True)]


def loss_parts(told: dict[str, torch.Tensor], config: Any) -> LossParts:
    """What a loss of transformers is made of: ``cls_loss``, ``l1_loss``, ``giou_loss``...; they add up to it.

    Args:
        told: Its ``loss_dict``, with a value for each layer.
        config: Of the network. DETR's values are not yet multiplied by what they count, those of RT-DETR are.
    """
    counts = {"ce": 1.0, "bbox": 1.0, "giou": 1.0}
    if "cardinality_error" in told:  # which is DETR's, and no loss
        counts["bbox"], counts["giou"] = float(config.bbox_loss_coefficient), float(config.giou_loss_coefficient)
    parts: dict[str, torch.Tensor] = {}
    for name, value in told.items():
        matched = _PART.fullmatch(name)
        if matched is None:
            continue
        part = f"{_NAMES[matched[1]]}_loss"
        counted = value.detach() * counts.get(matched[1], 1.0)
        parts[part] = parts[part] + counted if part in parts else counted
    return parts


def _ours(model: nn.Module) -> HfDetector:
    if not isinstance(model, HfDetector):
        raise TypeError(f"{type(model).__name__} is no detector of this plugin")
    return model
