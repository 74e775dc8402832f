"""How well a classifier does: its loss with the labels as they are, and the canonical metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from visiontrain.torchkit.data import ImageBatch
from visiontrain.torchkit.metrics import ClassificationMetrics

__all__ = ["ClassifierEvaluation"]


class ClassifierEvaluation:
    """A pass over images that have one class each, as `visiontrain.torchkit.learning.Evaluation` has it.

    Args:
        logits: Gives class scores in float32, (batch, classes), of a batch that is on the device.
        classes: Class names by class index.
        device: The model's.
    """

    def __init__(
        self, logits: Callable[[ImageBatch], torch.Tensor], classes: tuple[str, ...], device: torch.device
    ) -> None:
        self._logits, self._device = logits, device
        self._metrics = ClassificationMetrics(classes, device)
        self._loss = torch.zeros((), dtype=torch.float32, device=device)
        self._images = 0

    def update(self, batch: ImageBatch) -> None:
        """Count a batch."""
        batch = batch.to(self._device)
        logits = self._logits(batch)
        self._loss += functional.cross_entropy(logits, batch.labels, reduction="sum")
        self._images += len(batch)
        self._metrics.update(logits, batch.labels)

    def compute(self) -> dict[str, float]:
        """``val_loss`` and the canonical metrics of classification."""
        return {"val_loss": self._loss.item() / max(1, self._images), **self._metrics.compute()}

    def write_artifacts(self, folder: Path, *, epoch: int) -> list[tuple[Path, str]]:
        """The confusion matrix."""
        return self._metrics.write_confusion_matrix(folder, epoch=epoch)
