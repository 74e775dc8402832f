"""Mask2Former's loss: transformers', in float32, by name, and with what a batch shares kept where it is split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from visiontrain.torchkit.randomness import capture_rng, restore_rng
from visiontrain_hf.mask_queries import Queries

__all__ = ["MaskLoss", "MaskTargets", "added", "total"]

#: What transformers calls the parts, each of which it gives for every layer, and what we do.
_NAMES = {"loss_cross_entropy": "class_loss", "loss_mask": "mask_loss", "loss_dice": "dice_loss"}

_SEED = 0


@dataclass(frozen=True)
class MaskTargets:
    """What the queries of a batch shall find.

    Args:
        labels: Class indices of each image, int64, (targets).
        masks: Which pixels of the canvas are the target's, bool, (targets, height, width), of each image.
    """

    labels: tuple[torch.Tensor, ...]
    masks: tuple[torch.Tensor, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """How many each image has."""
        return tuple(len(labels) for labels in self.labels)

    def part(self, images: slice) -> MaskTargets:
        """Those of some of the images."""
        return MaskTargets(self.labels[images], self.masks[images])

    def of(self, image: int) -> MaskTargets:
        """Those of the image of that number."""
        return self.part(slice(image, image + 1))


class MaskLoss:
    """Classes and masks of the queries that each target is matched with, over all layers of the decoder.

    The masks are compared at random points: from torch's global generators, whose state a checkpoint keeps. Losses that
    are not numbers stay so: transformers' matcher pairs such queries somehow, and does not hide their loss.

    Args:
        network: transformers' ``Mask2FormerForUniversalSegmentation``.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network: Any = network

    def __call__(self, layers: Sequence[Queries], targets: MaskTargets) -> dict[str, torch.Tensor]:
        """The loss of a batch in its parts ``class_loss``, ``mask_loss`` and ``dice_loss``, whose sum it is.

        Args:
            layers: The queries of each layer, the last one's last.
            targets: On the queries' device.

        Returns:
            Scalars: means over the batch's queries, and over its targets.
        """
        queries = [layer.float() for layer in layers]
        earlier = queries[:-1] if self._network.config.use_auxiliary_loss else []
        with torch.autocast(queries[-1].classes.device.type, enabled=False):
            told: dict[str, torch.Tensor] = self._network.get_loss_dict(
                masks_queries_logits=queries[-1].masks,
                class_queries_logits=queries[-1].classes,
                mask_labels=[masks.float() for masks in targets.masks],
                class_labels=list(targets.labels),
                auxiliary_predictions=[
                    {"masks_queries_logits": each.masks, "class_queries_logits": each.classes} for each in earlier
                ],
            )
        return {
            ours: torch.stack([part for name, part in told.items() if name.startswith(theirs)]).sum()
            for theirs, ours in _NAMES.items()
        }

    def of_part(
        self, layers: Sequence[Queries], targets: MaskTargets, *, counts: Sequence[int], part: slice
    ) -> dict[str, torch.Tensor]:
        """What some images of a batch add to its loss.

        Args:
            layers: Of these images.
            targets: Likewise.
            counts: Targets of each of the batch's images.
            part: Which of them these are.
        """
        mine = counts[part]
        classes = _share(self._class_weight(mine), self._class_weight(counts))
        masks = _share(max(1, sum(mine)), max(1, sum(counts)))
        shares = {"class_loss": classes, "mask_loss": masks, "dice_loss": masks}
        return {name: value * shares[name] for name, value in self(layers, targets).items()}

    def _class_weight(self, counts: Sequence[int]) -> float:
        """What the mean over queries is divided by: a query that is matched counts 1, the others less."""
        queries = int(self._network.config.num_queries)
        matched = sum(min(queries, count) for count in counts)
        return matched + float(self._network.config.no_object_weight) * (queries * len(counts) - matched)

    def by_image(self, layers: Sequence[Queries], targets: MaskTargets) -> dict[str, torch.Tensor]:
        """The mean of the images' own losses, by part: the same whatever else is in the batch, and each time.

        The points are the same for every image. What is in memory is one image's.
        """
        device = layers[-1].classes.device
        sums: dict[str, torch.Tensor] = {}
        with _kept_state(device):
            for image in range(len(targets.labels)):
                torch.manual_seed(_SEED)
                sums = added(sums, self([layer.of(image) for layer in layers], targets.of(image)))
        return {name: part / len(targets.labels) for name, part in sums.items()}


def added(sums: Mapping[str, torch.Tensor], parts: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Sums by name, with these detached; empty ones before the first."""
    return {name: sums[name] + part.detach() if name in sums else part.detach() for name, part in parts.items()}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


@contextmanager
def _kept_state(device: torch.device) -> Iterator[None]:
    """Put the random generators' state back afterwards."""
    state = capture_rng(device)
    try:
        yield
    finally:
        restore_rng(state, device)


def total(parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The loss that the parts make."""
    return torch.stack(list(parts.values())).sum()
