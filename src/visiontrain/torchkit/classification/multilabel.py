"""Classification of images that have any number of labels: each label is a question of its own."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from visiontrain.torchkit.classification.learner import Classifier
from visiontrain.torchkit.data import ImageBatch
from visiontrain.torchkit.metrics_multilabel import MultiLabelMetrics

__all__ = ["MultiLabelClassifier", "MultiLabelEvaluation"]


class MultiLabelClassifier(Classifier):
    """A model that gives a row of scores an image; each score's sigmoid is the probability of one label."""

    def _targets(self, labels: torch.Tensor) -> torch.Tensor:
        """Probabilities by label, smoothed."""
        return labels * (1 - self._smoothing) + self._smoothing / len(self._classes)

    def _counts(self, targets: torch.Tensor) -> torch.Tensor:
        """Every image counts the same: weights are the labels'."""
        return torch.ones(len(targets), device=targets.device)

    def _mean_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Binary cross entropy, the mean over images and labels."""
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(0)
        if self._weight is None:
            return losses.mean()
        return (losses * self._weight).sum() / self._weight.sum()

    def evaluation(self) -> MultiLabelEvaluation:  # type: ignore[override]  # neither evaluation is the other
        """Begin a pass over the validation split."""
        return MultiLabelEvaluation(self, self._classes, self._device)


class MultiLabelEvaluation:
    """Binary cross entropy with the labels as they are, and the canonical metrics."""

    def __init__(self, classifier: MultiLabelClassifier, classes: tuple[str, ...], device: torch.device) -> None:
        self._classifier, self._device = classifier, device
        self._metrics = MultiLabelMetrics(classes, device)
        self._loss = torch.zeros((), dtype=torch.float32, device=device)
        self._images = 0

    def update(self, batch: ImageBatch) -> None:
        """Count a batch."""
        batch = batch.to(self._device)
        logits = self._classifier.logits(batch)
        losses = functional.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
        self._loss += losses.mean(1).sum()
        self._images += len(batch)
        self._metrics.update(logits, batch.labels)

    def compute(self) -> dict[str, float]:
        """``val_loss`` and the canonical metrics of multi-label classification."""
        return {"val_loss": self._loss.item() / max(1, self._images), **self._metrics.compute()}

    def write_artifacts(self, folder: Path, *, epoch: int) -> list[tuple[Path, str]]:  # noqa: ARG002 - none to write
        """None: where an image has several labels there is no matrix of confusion."""
        return []
