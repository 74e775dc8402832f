"""How good a model is, under the canonical names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from visiontrain.torchkit.confusion import write_confusion_matrix

__all__ = ["ClassificationMetrics"]

#: With as many classes or fewer, the top five would always hold the right one.
_TOP = 5


class ClassificationMetrics:
    """Counts over one pass of a split, kept on the device until they are asked for.

    Args:
        classes: Class names by class index.
        device: Where the logits come from.
    """

    def __init__(self, classes: Sequence[str], device: torch.device) -> None:
        n = len(classes)
        self.classes = tuple(classes)
        self._counts = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(n, average="micro", validate_args=False),
                "precision_macro": MulticlassPrecision(n, average="macro", validate_args=False),
                "recall_macro": MulticlassRecall(n, average="macro", validate_args=False),
                "f1_macro": MulticlassF1Score(n, average="macro", validate_args=False),
                "f1_weighted": MulticlassF1Score(n, average="weighted", validate_args=False),
                "precision": MulticlassPrecision(n, average="none", validate_args=False),
                "recall": MulticlassRecall(n, average="none", validate_args=False),
                "f1": MulticlassF1Score(n, average="none", validate_args=False),
                "confusion": MulticlassConfusionMatrix(n, validate_args=False),
            }
        ).to(device)
        self._in_top = torch.zeros((), dtype=torch.int64, device=device)
        self._images = 0

    def update(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Count a batch: logits (batch, classes), labels (batch)."""
        self._counts.update(logits.argmax(1), labels)
        if len(self.classes) > _TOP:
            self._in_top += (logits.topk(_TOP, dim=1).indices == labels[:, None]).sum()
        self._images += len(labels)

    def compute(self) -> dict[str, float]:
        """Numbers from 0 to 1 by canonical name; per class as ``precision/NAME``, ``recall/NAME`` and ``f1/NAME``.

        The macro means are over the classes that an image has or was said to have. A class that no image has has no
        numbers of its own.
        """
        found = {name: value.cpu() for name, value in self._counts.compute().items()}
        values = {"accuracy": float(found["accuracy"])}
        if len(self.classes) > _TOP:
            values["accuracy_top5"] = int(self._in_top) / max(1, self._images)
        for name in ("precision_macro", "recall_macro", "f1_macro", "f1_weighted"):
            values[name] = float(found[name])
        present = found["confusion"].sum(1) > 0
        for name in ("precision", "recall", "f1"):
            values.update(
                {f"{name}/{c}": float(v) for c, v, p in zip(self.classes, found[name], present, strict=True) if p}
            )
        return values

    def confusion_matrix(self) -> list[list[int]]:
        """Images by true class (row) and predicted class (column)."""
        matrix: list[list[int]] = self._counts["confusion"].compute().cpu().tolist()
        return matrix

    def write_confusion_matrix(self, folder: Path, *, epoch: int) -> list[tuple[Path, str]]:
        """Write it into `folder` as numbers and as a picture; gives each file with its kind.

        Raises:
            StorageError: the disk did not take it.
        """
        return write_confusion_matrix(folder, self.confusion_matrix(), self.classes, epoch=epoch, of="images")
