"""Mixup and cutmix: two images and their labels in one."""

from __future__ import annotations

import math
import random

import torch
from torch.nn import functional

__all__ = ["Mixer", "soft_cross_entropy", "soft_targets"]


class Mixer:
    """Mixes each image of a batch with its neighbour, all by the same share; any number of images will do.

    Draws from Python's global generator, whose state is in the checkpoints.

    Args:
        mixup: Both parameters of the beta distribution that the share of the neighbour's light is drawn from; 0: none.
        cutmix: Likewise, for the share of the area that is replaced by the neighbour's. With both, each batch has one
            of the two, as a coin falls.
        probability: Share of the batches that are mixed.
    """

    def __init__(self, *, mixup: float, cutmix: float, probability: float = 1.0) -> None:
        self._mixup, self._cutmix, self._probability = mixup, cutmix, probability

    def __call__(self, images: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix.

        Args:
            images: Floating point, (batch, channels, height, width). Left as they are.
            targets: Floating point, (batch, classes).

        Returns:
            New images and targets, of the same shapes.
        """
        if random.random() >= self._probability:  # noqa: S311 - not for secrets
            return images, targets
        cut = self._cutmix > 0 and (self._mixup == 0 or random.random() < 0.5)  # noqa: S311, PLR2004
        alpha = self._cutmix if cut else self._mixup
        own = random.betavariate(alpha, alpha)
        others = images.roll(1, 0)
        if cut:
            top, bottom, left, right = _box(images.shape[2], images.shape[3], 1 - own)
            own = 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
            images = images.clone()
            images[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
        else:
            images = torch.lerp(others, images, own)
        return images, torch.lerp(targets.roll(1, 0), targets, own)


def _box(height: int, width: int, share: float) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a box of that share of the area, but for what lies outside of the image."""
    half = math.sqrt(share) / 2
    y, x = random.randrange(height), random.randrange(width)  # noqa: S311
    tall, wide = round(half * height), round(half * width)
    return max(0, y - tall), min(height, y + tall), max(0, x - wide), min(width, x + wide)


def soft_targets(labels: torch.Tensor, classes: int, smoothing: float) -> torch.Tensor:
    """Class indices (batch) as probabilities (batch, classes), `smoothing` of each spread over all classes."""
    return functional.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Mean cross entropy of logits against probabilities, both (batch, classes).

    Args:
        logits: Class scores.
        targets: Each row sums to 1.
        weight: Of each class, (classes); the mean is then the weighted one. None: all the same.
    """
    if weight is None:
        return functional.cross_entropy(logits, targets)
    weighted = targets * weight
    return -(weighted * functional.log_softmax(logits, dim=1)).sum() / weighted.sum()
