"""Which images make up an epoch, and how much each class weighs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["balanced_order", "balanced_weights"]


def balanced_order(labels: torch.Tensor, generator: torch.Generator) -> list[int]:
    """As many positions as there are labels, in random order, each class as often as the others (or once more).

    An image of a small class comes again only when each of that class has come as often; of a large class some are
    left out.

    Args:
        labels: Class indices by position, int64.
        generator: Where the random choices come from.
    """
    present = torch.unique(labels)
    share, rest = divmod(len(labels), len(present))
    favoured = set(torch.randperm(len(present), generator=generator)[:rest].tolist())
    chosen: list[torch.Tensor] = []
    for number, label in enumerate(present):
        positions = (labels == label).nonzero().flatten()
        wanted = share + (number in favoured)
        while wanted > 0:
            taken = positions[torch.randperm(len(positions), generator=generator)][:wanted]
            chosen.append(taken)
            wanted -= len(taken)
    together = torch.cat(chosen)
    order: list[int] = together[torch.randperm(len(together), generator=generator)].tolist()
    return order


def balanced_weights(labels: Sequence[int], classes: int) -> tuple[float, ...]:
    """A weight for each class, inverse to its number of images; the mean over all images is 1.

    A class without an image weighs 1.
    """
    counts = torch.bincount(torch.tensor(labels, dtype=torch.int64), minlength=classes)
    present = int((counts > 0).sum())
    return tuple(len(labels) / (present * count) if count else 1.0 for count in counts.tolist())
