"""How good a model is that says of each label whether an image has it, under the canonical names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torchmetrics.classification import MultilabelStatScores
from torchmetrics.functional.classification import multilabel_average_precision

__all__ = ["MultiLabelMetrics"]

#: The probability from which on a label counts as said.
_THRESHOLD = 0.5


class MultiLabelMetrics:
    """Counts and probabilities of one pass of a split, kept on the device until they are asked for.

    The average precision needs all probabilities at once: 4 bytes for each image and label, and a byte for its truth.

    Args:
        classes: Class names by class index; two at the least.
        device: Where the logits come from.
    """

    def __init__(self, classes: Sequence[str], device: torch.device) -> None:
        self.classes = tuple(classes)
        self._counts = MultilabelStatScores(len(classes), threshold=_THRESHOLD, average="none", validate_args=False).to(
            device
        )
        self._probabilities: list[torch.Tensor] = []
        self._truths: list[torch.Tensor] = []

    def update(self, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """Count a batch: logits (batch, classes), targets (batch, classes) of 0 and 1."""
        probabilities, truths = logits.float().sigmoid(), targets > _THRESHOLD
        self._counts.update(probabilities, truths.int())
        self._probabilities.append(probabilities)
        self._truths.append(truths)

    def compute(self) -> dict[str, float]:
        """Numbers from 0 to 1 by canonical name; per class as ``average_precision/NAME``, ``precision/NAME``...

        A label that no image has has no numbers of its own, and is left out of ``map``, which is NaN where none has
        any; one that the model did not say either, of the other means, too.
        """
        right, wrong, _, missed, images = self._counts.compute().double().cpu().unbind(1)
        precision, recall = _share(right, right + wrong), _share(right, right + missed)
        f1 = _share(2 * right, 2 * right + wrong + missed)
        told = right + wrong + missed > 0
        average = self._average_precision(images > 0)
        values = {
            "map": float(torch.tensor([*average.values()], dtype=torch.float64).mean()),
            "precision_macro": _mean(precision, told),
            "recall_macro": _mean(recall, told),
            "f1_macro": _mean(f1, told),
            "f1_weighted": float(_share((f1 * images).sum(), images.sum())),
        }
        values.update({f"average_precision/{name}": value for name, value in average.items()})
        for name, found in (("precision", precision), ("recall", recall), ("f1", f1)):
            values.update(
                {f"{name}/{c}": float(v) for c, v, n in zip(self.classes, found, images, strict=True) if n > 0}
            )
        return values

    def _average_precision(self, present: torch.Tensor) -> dict[str, float]:
        """By the names of the classes that are present."""
        chosen = present.nonzero().flatten()
        if not len(chosen):
            return {}
        found = multilabel_average_precision(
            torch.cat(self._probabilities)[:, chosen],
            torch.cat(self._truths)[:, chosen].int(),
            num_labels=len(chosen),
            average="none",
            validate_args=False,
        )
        return {self.classes[i]: float(v) for i, v in zip(chosen.tolist(), found.flatten().cpu(), strict=True)}


def _share(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Part by whole; 0 of nothing."""
    return torch.where(whole > 0, part / whole.clamp(min=1), torch.zeros_like(part))


def _mean(values: torch.Tensor, chosen: torch.Tensor) -> float:
    return float(values[chosen].mean()) if bool(chosen.any()) else 0.0
