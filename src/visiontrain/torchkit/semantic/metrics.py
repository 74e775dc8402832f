"""How many pixels were taken for the right class: a matrix that grows with the classes, not with the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

__all__ = ["ClassNumbers", "PixelCounts"]


@dataclass(frozen=True)
class ClassNumbers:
    """What is told of one class. None where there is nothing to divide by.

    Args:
        name: The class.
        pixels: That are of it.
        found: That were taken for it.
        iou: Pixels that are of it and were taken for it, among those that are or were.
        accuracy: Share of its pixels that were taken for it.
        precision: Share of the pixels taken for it that are of it.
    """

    name: str
    pixels: int
    found: int
    iou: float | None
    accuracy: float | None
    precision: float | None


class PixelCounts:
    """Counts over one pass of a split, kept on the device until they are asked for.

    Args:
        classes: Class names by class index.
        device: Where class indices come from.
    """

    def __init__(self, classes: Sequence[str], device: torch.device) -> None:
        self.classes = tuple(classes)
        # Not torchmetrics': where sums are made in one order, its counting compares each pixel with each cell.
        self._counts = torch.zeros(len(self.classes) ** 2, dtype=torch.int64, device=device)

    def update(self, truth: torch.Tensor, found: torch.Tensor, *, ignored: int) -> None:
        """Count some pixels.

        Args:
            truth: Class indices, of any shape.
            found: What they were taken for, of the same shape.
            ignored: What stands in `truth` for pixels that don't count.
        """
        truth = truth.long()
        counted = truth != ignored
        cells = truth[counted] * len(self.classes) + found[counted]
        self._counts += torch.bincount(cells, minlength=len(self._counts))

    def matrix(self) -> torch.Tensor:
        """Pixels by true class (row) and by what they were taken for (column), int64, on the CPU."""
        return self._counts.cpu().view(len(self.classes), len(self.classes))

    def by_class(self) -> list[ClassNumbers]:
        """What is told of each class, by class index."""
        matrix = self.matrix()
        rows = zip(
            self.classes, matrix.diagonal().tolist(), matrix.sum(1).tolist(), matrix.sum(0).tolist(), strict=True
        )
        return [
            ClassNumbers(name, true, found, _share(both, true + found - both), _share(both, true), _share(both, found))
            for name, both, true, found in rows
        ]

    def compute(self) -> dict[str, float]:
        """Numbers from 0 to 1 by canonical name, and ``iou/NAME`` of each class.

        A class that no pixel is of, and none was taken for, has no number and is left out of ``miou``;
        ``mean_accuracy`` is over the classes that pixels are of. Where no pixel counts all are 0.
        """
        matrix, found = self.matrix(), self.by_class()
        iou = {each.name: each.iou for each in found if each.iou is not None}
        accuracies = [each.accuracy for each in found if each.accuracy is not None]
        return {
            "miou": _mean(list(iou.values())),
            "pixel_accuracy": _share(int(matrix.diagonal().sum()), int(matrix.sum())) or 0.0,
            "mean_accuracy": _mean(accuracies),
            **{f"iou/{name}": value for name, value in iou.items()},
        }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
