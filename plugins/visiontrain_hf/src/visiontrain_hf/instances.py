"""Instance segmentation with Mask2Former, as torchkit trains, evaluates and predicts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from visiontrain.hyperparameters.detection import DetectionOptions
from visiontrain.hyperparameters.optimizers import Start
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.object_batches import ObjectBatch
from visiontrain.torchkit.object_evaluation import Findings
from visiontrain.torchkit.object_found import FoundObjects
from visiontrain.torchkit.object_learner import LossParts, ObjectLearner
from visiontrain.torchkit.object_task import ObjectTask
from visiontrain.torchkit.transforms import Normalize
from visiontrain.torchkit.vision_task import Setup
from visiontrain_hf.instance_export import ExportedInstances
from visiontrain_hf.mask2former import RATES
from visiontrain_hf.mask_loss import MaskLoss, MaskTargets, added, total
from visiontrain_hf.mask_queries import found_objects
from visiontrain_hf.options import ADAM

__all__ = ["InstanceLearner", "InstanceSegmentation"]


class InstanceLearner(ObjectLearner):
    """Mask2Former and images with masks.

    Args:
        model: A `visiontrain_hf.mask2former.HfMask2Former`, on its device.
        classes: Class names by class index.
        normalize: Pixels to its input.
        device: The model's.
    """

    def __init__(self, model: nn.Module, classes: tuple[str, ...], normalize: Normalize, device: torch.device) -> None:
        super().__init__(model, classes, normalize, device, masks=True)
        self._loss = MaskLoss(model.get_submodule("network"))

    def losses(self, batch: ObjectBatch, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """As `ObjectLearner` has it; the loss of classes is a mean over queries, not over objects."""
        self._parts = {}
        for part in parts:
            some = batch.part(part).to(self.device)
            layers = self.model(self.normalize(some.pixels))
            told = self._loss.of_part(layers, _targets(some), counts=batch.objects.counts, part=part)
            self._parts = added(self._parts, told)
            yield total(told)

    def loss(self, batch: ObjectBatch) -> tuple[torch.Tensor, LossParts]:
        """Of classes, of masks by pixel, and of masks by their overlap."""
        parts = self._loss(self.model(self.normalize(batch.pixels)), _targets(batch))
        return total(parts), parts

    def find(self, batch: ObjectBatch) -> Findings:
        """The loss is the mean of the images' own losses, at the same points each time."""
        layers = self.model(self.normalize(batch.pixels))
        parts = self._loss.by_image(layers, _targets(batch))
        height, width = batch.pixels.shape[1:3]
        return Findings(found_objects(layers[-1], batch.extents.tolist(), (height, width)), total(parts), parts)

    def say(self, pixels: torch.Tensor, extents: torch.Tensor) -> Iterator[FoundObjects]:
        """The model's work is done now, what becomes of it when it is asked for."""
        layers = self.model(self.normalize(pixels))
        return found_objects(layers[-1], extents.tolist(), (pixels.shape[1], pixels.shape[2]))


class InstanceSegmentation(ObjectTask):
    """Mask2Former's instances."""

    def __init__(self) -> None:
        super().__init__(Task.segment)

    def make_learner(
        self, model: nn.Module, classes: tuple[str, ...], normalize: Normalize, device: torch.device
    ) -> InstanceLearner:
        """See `InstanceLearner`."""
        return InstanceLearner(model, classes, normalize, device)

    def learning_rates(self, setup: Setup[DetectionOptions]) -> Start | None:
        """Those of the authors for AdamW and its like."""
        return RATES if setup.options.optimizer in ADAM else None

    def as_exported(self, model: nn.Module) -> nn.Module:
        """A row a pair of query and class."""
        return ExportedInstances(model)


def _targets(batch: ObjectBatch) -> MaskTargets:
    each = [batch.objects.of(image) for image in range(len(batch))]
    masks = tuple(found.masks for found in each if found.masks is not None)
    if len(masks) != len(each):
        raise ValueError("a batch of the task segment has masks")
    return MaskTargets(tuple(found.labels for found in each), masks)
