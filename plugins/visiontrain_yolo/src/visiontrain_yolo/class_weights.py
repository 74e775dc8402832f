"""What objects count in the loss, by class."""

from __future__ import annotations

import torch

from visiontrain.datasets.index import DatasetIndex

__all__ = ["class_weights"]


def class_weights(data: DatasetIndex, power: float) -> torch.Tensor:
    """Weights with the mean 1, float32, (classes): rare classes more.

    Args:
        data: Whose training split is counted.
        power: 0 to 1: how much more.
    """
    counts = torch.zeros(len(data.classes))
    for image in data.images("train"):
        for found in image.objects:
            counts[found.label] += not found.crowd
    present = counts > 0
    if not present.any():
        return torch.ones_like(counts)
    weights = counts.clamp(min=1).pow(-power)
    weights = torch.where(present, weights, weights[present].mean())
    return weights / weights.mean()
