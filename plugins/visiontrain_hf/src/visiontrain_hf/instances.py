"""Instance segmentation with Mask2Former, as torchkit trains, evaluates and predicts it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from visiontrain.torchkit.object_batches import ObjectBatch
from visiontrain.torchkit.object_evaluation import Findings, ObjectEvaluation
from visiontrain.torchkit.object_found import FoundObjects
from visiontrain.torchkit.transforms import Normalize
from visiontrain_hf.mask_loss import MaskLoss, MaskTargets, total
from visiontrain_hf.mask_queries import found_objects

__all__ = ["FindInstances", "InstanceLearner"]


class FindInstances:
    """From pixels of the canvas to instances: what `visiontrain.torchkit.object_predicting` calls.

    Args:
        model: A `visiontrain_hf.mask_queries.HfMaskQueries`, on its device and set to evaluation.
        normalize: Pixels to its input.
    """

    def __init__(self, model: nn.Module, normalize: Normalize) -> None:
        self._model, self._normalize = model, normalize

    def __call__(self, pixels: torch.Tensor, extents: torch.Tensor) -> Iterator[FoundObjects]:
        """The instances of each image: all the model's work is done now, what is made of it when it is asked for."""
        layers = self._model(self._normalize(pixels))
        return found_objects(layers[-1], _sides(extents), (pixels.shape[1], pixels.shape[2]))


class InstanceLearner:
    """Mask2Former and images with masks: a `visiontrain.torchkit.learning.Learner`.

    Args:
        model: A `visiontrain_hf.mask_queries.HfMaskQueries`, on its device.
        classes: Class names by class index.
        normalize: Pixels to its input.
        device: The model's.
    """

    def __init__(self, model: nn.Module, classes: Sequence[str], normalize: Normalize, device: torch.device) -> None:
        self.model = model
        self._classes, self._normalize, self._device = tuple(classes), normalize, device
        self._loss = MaskLoss(model.get_submodule("network"))
        self._parts: dict[str, torch.Tensor] = {}

    def losses(self, batch: ObjectBatch, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """Means over the whole batch's queries and objects, whatever the parts."""
        self._parts = {}
        for part in parts:
            some = batch.part(part).to(self._device)
            told = self._loss(self.model(self._normalize(some.pixels)), _targets(some))
            shares = self._loss.shares(batch.objects.counts, part)
            shared = {name: value * shares[name] for name, value in told.items()}
            for name, value in shared.items():
                self._parts[name] = self._parts[name] + value.detach() if name in self._parts else value.detach()
            yield total(shared)

    def loss_parts(self) -> Mapping[str, torch.Tensor]:
        """Of classes, of masks by pixel, and of masks by their overlap."""
        return self._parts

    def evaluation(self) -> ObjectEvaluation:
        """Of boxes around the masks, and of the masks themselves."""
        return ObjectEvaluation(self, self._classes, self._device, masks=True)

    def find(self, batch: ObjectBatch) -> Findings:
        """The loss is the mean of the images' own losses, at the same points each time."""
        layers = self.model(self._normalize(batch.pixels))
        parts = self._loss.by_image(layers, _targets(batch))
        height, width = batch.pixels.shape[1:3]
        return Findings(found_objects(layers[-1], _sides(batch.extents), (height, width)), total(parts), parts)


def _sides(extents: torch.Tensor) -> list[tuple[int, int]]:
    return [(height, width) for height, width in extents.tolist()]


def _targets(batch: ObjectBatch) -> MaskTargets:
    each = [batch.objects.of(image) for image in range(len(batch))]
    if any(found.masks is None for found in each):
        raise ValueError("a batch of the task segment has masks")
    return MaskTargets(
        tuple(found.labels for found in each), tuple(found.masks for found in each if found.masks is not None)
    )
