"""Learning of a batch, and evaluating one, with the memory that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch
from torch import nn

from visiontrain.errors import RunFailedError, SpecError
from visiontrain.torchkit.learning import Batch, Learner
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.shortage import ADVICE, first_line, is_out_of_memory, release_memory
from visiontrain.torchkit.splitting import even_parts, fewer, in_words
from visiontrain.torchkit.state import Position
from visiontrain.torchkit.undoing import Undo
from visiontrain.torchkit.updates import Updates

__all__ = ["Steps"]

#: What torch's batch norm says of a single image whose values are one a channel.
_TOO_FEW = "Expected more than 1 value per channel"

B = TypeVar("B", bound=Batch)


class Steps(Generic[B]):
    """Takes batches; where memory runs out it takes them in parts from then on, with the same gradient.

    Args:
        learner: What is trained.
        updates: Makes new weights of losses.
        precision: Of forward pass and loss.
        device: Where the model is.
        warn: Is told of every split.
    """

    def __init__(
        self,
        learner: Learner[B],
        updates: Updates,
        *,
        precision: Precision,
        device: torch.device,
        warn: Callable[[str], None],
    ) -> None:
        self._learner, self._updates = learner, updates
        self._precision, self._device, self._warn = precision, device, warn
        self._undo = Undo(learner.model, device)

    def learn(self, batch: B, at: Position, *, last: bool) -> torch.Tensor:
        """Learn from a batch; `at` counts the step where one was taken, and keeps a split that was needed.

        Nothing is left of an attempt that memory had no room for: its gradients, its random choices and what batch norm
        saw of it are undone.

        Returns:
            The batch's mean loss.

        Raises:
            RunFailedError: memory has no room for a single image.
            SpecError: batch norm can't learn from a batch of a single image.
        """
        images = len(batch)
        while True:
            self._undo.mark()
            try:
                loss = self._attempt(batch, at.train_at_once)
                break
            except Exception as error:  # noqa: BLE001 - told apart by what they say
                at_once = self._fewer(error, images, at.train_at_once, "a training step")
            # Outside of `except`: the error's frames have let go of the attempt's tensors.
            self._updates.abandon()
            self._undo.back()
            release_memory(self._device)
            self._warn(
                f"Out of memory at {images} images a step{_split(images, at.train_at_once)}: going on with "
                f"{in_words(images, at_once)} at once, the same effective batch.{self._of_batch_norm(images, at_once)}"
            )
            at.train_at_once = at_once
        at.step += self._updates.add(images, step=at.step, last=last)
        return loss

    def _attempt(self, batch: B, at_once: int) -> torch.Tensor:
        parts = even_parts(len(batch), at_once)
        losses = self._learner.losses(batch, parts)
        total: torch.Tensor | None = None
        for _ in parts:
            with autocast(self._device, self._precision):
                loss = next(losses)
            self._updates.backward(loss, len(batch))
            total = loss.detach() if total is None else total + loss.detach()
        if total is None:
            raise ValueError("a batch of no images")
        return total

    def parts_for_validation(self, batch: B, at: Position) -> Iterator[B]:
        """A batch as memory has room for it."""
        parts = even_parts(len(batch), at.val_at_once)
        return iter([batch]) if len(parts) == 1 else (batch.part(part) for part in parts)

    def shrink_validation(self, error: Exception, images: int, at: Position) -> None:
        """Make validation's parts smaller, as memory had no room for a batch.

        Args:
            error: What the pass over the validation split ended with; it is raised again where it is another one.
            images: Of the batch.
            at: Keeps the split.

        Raises:
            RunFailedError: memory has no room for a single image.
        """
        at_once = self._fewer(error, images, at.val_at_once, "validation")
        self._warn(
            f"Out of memory in validation at {images} images{_split(images, at.val_at_once)}: going on with "
            f"{in_words(images, at_once)} at once."
        )
        at.val_at_once = at_once

    def _fewer(self, error: Exception, images: int, at_once: int, doing: str) -> int:
        parts = even_parts(images, at_once)
        too_few = isinstance(error, ValueError) and _TOO_FEW in str(error)
        if too_few and len(parts) == 1:
            raise SpecError(
                "batch_size",
                f"{images} is too few: batch norm compares the values of a channel, and here there is only one",
                instruction="Set --batch-size to 2 or more, or a larger --image-size.",
            ) from error
        if not too_few and not is_out_of_memory(error):
            raise error
        smaller = 0 if too_few else fewer(parts)
        if smaller == 0:
            least = "as few images at once as batch norm needs" if too_few else "a single image"
            raise RunFailedError(
                f"the memory of {self._device} has no room for {doing} with {least}: {first_line(error)}",
                instruction=ADVICE,
            ) from error
        return smaller

    def _of_batch_norm(self, images: int, at_once: int) -> str:
        norms = (m for m in self._learner.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))  # noqa: SLF001
        if not any(norm.training for norm in norms):
            return ""
        largest = max(part.stop - part.start for part in even_parts(images, at_once))
        return f" Batch norm sees {largest} images instead of {images}."


def _split(images: int, at_once: int) -> str:
    return f", {in_words(images, at_once)} at once" if len(even_parts(images, at_once)) > 1 else ""
