"""A detector or instance segmenter as the training loop sees it; what a framework adds is its loss and its answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn

from visiontrain.torchkit.object_batches import ObjectBatch
from visiontrain.torchkit.object_evaluation import Findings, ObjectEvaluation
from visiontrain.torchkit.object_found import FoundObjects
from visiontrain.torchkit.transforms import Normalize

__all__ = ["LossParts", "ObjectLearner"]

#: Scalars on the device by name, such as ``box_loss``.
LossParts = Mapping[str, torch.Tensor]


class ObjectLearner(ABC):
    """A model whose loss is a mean over objects, as that of DETR and those after it.

    Args:
        model: On its device.
        classes: Class names by class index.
        normalize: Pixels to the model's input.
        device: The model's.
        masks: Whether it finds masks: the task segment.
    """

    def __init__(
        self, model: nn.Module, classes: tuple[str, ...], normalize: Normalize, device: torch.device, *, masks: bool
    ) -> None:
        self.model, self.classes, self.normalize, self.device = model, classes, normalize, device
        self._masks = masks
        self._parts: dict[str, torch.Tensor] = {}

    @abstractmethod
    def loss(self, batch: ObjectBatch) -> tuple[torch.Tensor, LossParts]:
        """The loss, and what it is made of; both are means over the batch's objects, or, where it has none, sums.

        Args:
            batch: For training, on the device.
        """

    @abstractmethod
    def find(self, batch: ObjectBatch) -> Findings:
        """What the model says of a batch on the device, and its loss. The model is set to evaluation."""

    @abstractmethod
    def say(self, pixels: torch.Tensor, extents: torch.Tensor) -> Iterable[FoundObjects]:
        """What the model says of each image, as `visiontrain.torchkit.object_predicting.Find` has it."""

    def losses(self, batch: ObjectBatch, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """The batch's loss, as `visiontrain.torchkit.learning.Learner` wants it: each part counts by its objects."""
        batch = batch.to(self.device)
        objects = max(1, len(batch.objects))
        self._parts = {}
        for part in parts:
            chosen = batch if len(parts) == 1 else batch.part(part)
            loss, made_of = self.loss(chosen)
            share = max(1, len(chosen.objects)) / objects
            for name, value in made_of.items():
                own = value.detach().float() * share
                self._parts[name] = self._parts[name] + own if name in self._parts else own
            yield loss if len(parts) == 1 else loss * share

    def loss_parts(self) -> LossParts:
        """What the last training batch's loss is made of, as `visiontrain.torchkit.learning.TellsLosses` wants it."""
        return self._parts

    def evaluation(self) -> ObjectEvaluation:
        """Begin a pass over the validation split."""
        return ObjectEvaluation(self, self.classes, self.device, masks=self._masks)
