"""From losses to new weights: gradients of several batches added up, clipped, a step, and the average that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from visiontrain.torchkit.averaging import WeightAverage

__all__ = ["Updates"]


class Updates:
    """What changes the weights.

    Args:
        model: Whose parameters the optimizer holds.
        optimizer: A parameter group may have an ``lr_scale``: its learning rate's share of the schedule's.
        schedule: Learning rate by optimizer step, counted from 0; a pure function.
        accumulate: Batches whose gradients make one step. Each image weighs the same, however large its batch. The
            last step of an epoch may be made of fewer.
        clip_grad: Largest norm of all gradients together; 0 leaves them as they are.
        average: Follows each step, and is what is validated and kept as best.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Callable[[int], float],
        *,
        accumulate: int = 1,
        clip_grad: float = 0.0,
        average: WeightAverage | None = None,
    ) -> None:
        self._model, self._optimizer, self._schedule = model, optimizer, schedule
        self._accumulate, self._clip_grad = accumulate, clip_grad
        self.average = average
        self._batches = self._images = 0

    def learning_rate(self, step: int) -> float:
        """That of optimizer step `step`, counted from 0."""
        return self._schedule(step)

    def add(self, loss: torch.Tensor, images: int, *, step: int, last: bool) -> bool:
        """Learn from a batch.

        Args:
            loss: Mean over the batch's images, with its graph.
            images: How many.
            step: Optimizer steps done.
            last: It is the epoch's last batch.

        Returns:
            Whether a step was taken.
        """
        if self._batches == 0:
            self._optimizer.zero_grad(set_to_none=True)
        (loss if self._accumulate == 1 else loss * images).backward()  # type: ignore[no-untyped-call]
        self._batches += 1
        self._images += images
        if self._batches < self._accumulate and not last:
            return False
        if self._accumulate > 1:
            torch._foreach_div_([grad for _, grad in self._gradients()], self._images)
        if self._clip_grad > 0:
            nn.utils.clip_grad_norm_(self._model.parameters(), self._clip_grad)
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule(step) * group.get("lr_scale", 1.0)
        self._optimizer.step()
        self._batches = self._images = 0
        if self.average is not None:
            self.average.update(step)
        return True

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the model has the weights that are validated and kept."""
        if self.average is None:
            yield
            return
        with self.average.applied():
            yield

    def _gradients(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, parameter in self._model.named_parameters():
            if parameter.grad is not None:
                yield name, parameter.grad

    def state_dict(self) -> dict[str, Any]:
        """What is under way between two steps, and the average."""
        pending = dict(self._gradients()) if self._batches else {}
        return {
            "batches": self._batches,
            "images": self._images,
            "gradients": pending,
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`'s values.

        Raises:
            KeyError: a parameter or an average is missing.
            RuntimeError: a tensor has another shape.
        """
        self._batches, self._images = state["batches"], state["images"]
        parameters = dict(self._model.named_parameters())
        for name, gradient in state["gradients"].items():
            parameters[name].grad = torch.zeros_like(parameters[name]).copy_(gradient)
        if self.average is not None:
            self.average.load_state_dict(state["average"])
