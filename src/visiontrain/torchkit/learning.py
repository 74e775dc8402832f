"""What the training loop asks of a task: where batches come from, and what they become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import nn

__all__ = ["Batch", "BatchSource", "Evaluation", "Learner", "TellsLosses"]

Self = TypeVar("Self", bound="Batch")
B_co = TypeVar("B_co", covariant=True)
B_contra = TypeVar("B_contra", contravariant=True)


class Batch(Protocol):
    """Examples that are loaded together."""

    def __len__(self) -> int:
        """How many images."""
        ...

    def part(self: Self, images: slice) -> Self:  # noqa: PYI019 - Python 3.10 has no other
        """Some of them."""
        ...


class BatchSource(Protocol[B_co]):
    """Where batches come from: `visiontrain.torchkit.data.EpochLoader` or a loader of one's own."""

    @property
    def batches(self) -> int:
        """Batches of an epoch; at least 1."""
        ...

    @property
    def ahead(self) -> int:
        """Batches that may lie loaded before they are asked for; 0: each is loaded when it is."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[B_co]:
        """The batches of `epoch` (from 0) from number `start` on: the same ones each time they are asked for."""
        ...

    def close(self) -> None:
        """End loader processes."""
        ...


class Evaluation(Protocol[B_contra]):
    """One pass over the validation split."""

    def update(self, batch: B_contra) -> None:
        """Count a batch. Runs under autocast and without gradients, the model in evaluation mode."""
        ...

    def compute(self) -> dict[str, float]:
        """The epoch's numbers under their canonical names, ``val_loss`` and the primary metric among them."""
        ...

    def write_artifacts(self, folder: Path, *, epoch: int) -> list[tuple[Path, str]]:
        """Write what is worth keeping of the best epoch (counted from 1); gives each file with its kind."""
        ...


class Learner(Protocol[B_contra]):
    """What is trained, and how a batch becomes a loss."""

    @property
    def model(self) -> nn.Module:
        """Whose parameters the optimizer holds."""
        ...

    def losses(self, batch: B_contra, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """The mean loss of a training batch (scalars on the device), in parts whose sum it is.

        Each part's graph is done with before the next one is asked for. The parts change nothing but what is in memory
        at once: what images of a batch share, such as mixup's partners, is chosen before, for all of them. Runs under
        autocast.

        Args:
            batch: As it was loaded.
            parts: Which of its images are computed together; one slice for all, where memory has room for them.
        """
        ...

    def evaluation(self) -> Evaluation[B_contra]:
        """Begin a pass over the validation split."""
        ...


@runtime_checkable
class TellsLosses(Protocol):
    """A learner whose loss is a sum of several. Telling them is its choice."""

    def loss_parts(self) -> Mapping[str, torch.Tensor]:
        """What the last training batch's loss is made of: scalars on the device by name, such as ``box_loss``.

        Each is a mean over the batch's images; the names are the same for every batch. They are told as
        ``train_box_loss``.
        """
        ...
