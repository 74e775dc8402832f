"""Semantic segmentation as the training loop sees it: a loss over pixels and an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn import functional

from visiontrain.torchkit.semantic.batches import SemanticBatch
from visiontrain.torchkit.semantic.evaluation import ScoredImages, SemanticEvaluation
from visiontrain.torchkit.transforms import Normalize

__all__ = ["HasAuxiliaryHeads", "SemanticLearner"]


@runtime_checkable
class HasAuxiliaryHeads(Protocol):
    """A model with heads that only help it to learn."""

    def training_maps(self, images: torch.Tensor) -> Sequence[tuple[torch.Tensor, float]]:
        """Maps of class scores, the model's own and those of the other heads, each with what it counts in the loss.

        Args:
            images: Normalised, float32, (batch, 3, height, width).
        """
        ...


class SemanticLearner:
    """A model that gives a score for each class at each place, and learns by cross entropy.

    Its scores are interpolated to the pixels of the canvas first, as SegFormer and UPerNet are trained.

    Args:
        model: On its device; from normalised images, float32 (batch, 3, height, width), to maps of class scores over
            them, (batch, classes, rows, columns), in any resolution. It may be one that `HasAuxiliaryHeads`.
        classes: Class names by class index.
        normalize: Pixels to the model's input.
        device: The model's.
        weights: What a pixel counts in the training loss, by class index. None: all the same.
    """

    def __init__(
        self,
        model: nn.Module,
        classes: tuple[str, ...],
        normalize: Normalize,
        device: torch.device,
        *,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.model, self._classes, self._normalize, self._device = model, classes, normalize, device
        self._weight = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)

    def losses(self, batch: SemanticBatch, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """The mean over the batch's pixels, as each one counts; those that are ignored do not. See `Learner`."""
        batch = batch.to(self._device)
        labels = batch.labels.long()
        counted = self._counted(labels, batch.ignored)
        for part in parts:
            images = self._normalize(batch.pixels[part])
            sums = [share * self._sum(maps, labels[part], batch.ignored) for maps, share in self._maps(images)]
            yield torch.stack(sums).sum() / counted

    def _maps(self, images: torch.Tensor) -> Sequence[tuple[torch.Tensor, float]]:
        model = self.model
        return model.training_maps(images) if isinstance(model, HasAuxiliaryHeads) else [(model(images), 1.0)]

    def _counted(self, labels: torch.Tensor, ignored: int) -> torch.Tensor:
        """What all pixels count together. Where all are ignored, their sum is 0: any number will do to divide it by."""
        valid = labels[labels != ignored]
        counted = valid.new_tensor(len(valid)).float() if self._weight is None else self._weight[valid].sum()
        return torch.where(counted > 0, counted, 1.0)

    def _sum(self, maps: torch.Tensor, labels: torch.Tensor, ignored: int) -> torch.Tensor:
        return functional.cross_entropy(
            _enlarged(maps, labels), labels, self._weight, ignore_index=ignored, reduction="sum"
        )

    def score(self, batch: SemanticBatch) -> ScoredImages:
        """Maps of class scores, and the loss with the labels as they are: all pixels and classes count the same."""
        maps: torch.Tensor = self.model(self._normalize(batch.pixels))
        labels = batch.labels.long()
        loss = functional.cross_entropy(_enlarged(maps, labels), labels, ignore_index=batch.ignored, reduction="sum")
        return ScoredImages(maps, loss, (labels != batch.ignored).sum())

    def evaluation(self) -> SemanticEvaluation:
        """Begin a pass over the validation split."""
        return SemanticEvaluation(self, self._classes, self._device)


def _enlarged(maps: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Scores in float32 for each pixel that has a label."""
    maps = maps.float()
    if maps.shape[-2:] == labels.shape[-2:]:
        return maps
    return functional.interpolate(maps, size=labels.shape[-2:], mode="bilinear", align_corners=False)
