"""Image classification as the training loop sees it: a loss and an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional

from visiontrain.torchkit.classification.evaluation import ClassifierEvaluation
from visiontrain.torchkit.data import ImageBatch
from visiontrain.torchkit.mixing import Mixer, soft_cross_entropy, soft_targets
from visiontrain.torchkit.transforms import Normalize

__all__ = ["Classifier"]


class Classifier:
    """A model that gives a row of class scores an image.

    Args:
        model: On its device.
        classes: Class names by class index.
        normalize: Pixels to the model's input.
        device: The model's.
        label_smoothing: Share of each training label that is spread over all classes.
        mixer: Mixes training images and their labels.
        weights: What an image counts in the training loss, by class index. None: all the same.
    """

    def __init__(
        self,
        model: nn.Module,
        classes: tuple[str, ...],
        normalize: Normalize,
        device: torch.device,
        *,
        label_smoothing: float,
        mixer: Mixer | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.model, self._classes, self._normalize, self._device = model, classes, normalize, device
        self._smoothing, self._mixer = label_smoothing, mixer
        self._weight = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)

    def logits(self, batch: ImageBatch) -> torch.Tensor:
        """Class scores in float32, (batch, classes)."""
        scores: torch.Tensor = self.model(self._normalize(batch.pixels))
        return scores.float()

    def losses(self, batch: ImageBatch, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """The batch's loss with labels as they are smoothed, mixed and weighted, as `Learner` wants it."""
        batch = batch.to(self._device)
        targets = self._targets(batch.labels)
        mixed: torch.Tensor | None = None
        if self._mixer is not None:  # neighbours belong to the whole batch
            mixed, targets = self._mixer(self._normalize(batch.pixels), targets)
        for part in parts:
            images = self._normalize(batch.pixels[part]) if mixed is None else mixed[part]
            loss = self._mean_loss(self.model(images).float(), targets[part])
            if len(parts) > 1:
                counts = self._counts(targets)
                loss = loss * (counts[part].sum() / counts.sum())
            yield loss

    def _targets(self, labels: torch.Tensor) -> torch.Tensor:
        """Labels as the loss takes them: class indices, and where they are mixed probabilities."""
        return labels if self._mixer is None else soft_targets(labels, len(self._classes), self._smoothing)

    def _counts(self, targets: torch.Tensor) -> torch.Tensor:
        """What each image counts in the mean, (batch)."""
        if self._weight is None:
            return torch.ones(len(targets), device=targets.device)
        return self._weight[targets] if self._mixer is None else (targets * self._weight).sum(1)

    def _mean_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross entropy, the mean over the images as each one counts."""
        if self._mixer is not None:
            return soft_cross_entropy(logits, targets, self._weight)
        return functional.cross_entropy(logits, targets, self._weight, label_smoothing=self._smoothing)

    def evaluation(self) -> ClassifierEvaluation:
        """Begin a pass over the validation split."""
        return ClassifierEvaluation(self.logits, self._classes, self._device)
