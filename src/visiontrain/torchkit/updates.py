"""From losses to new weights: gradients of several batches added up, clipped, a step, and the average that follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from visiontrain.errors import RunFailedError
from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.shortage import ADVICE, first_line, is_out_of_memory

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
        self._sums: dict[str, torch.Tensor] = {}  # of the step under way; each image weighs the same

    def learning_rate(self, step: int) -> float:
        """That of optimizer step `step`, counted from 0."""
        return self._schedule(step)

    def batches_of(self, step: int) -> int:  # noqa: ARG002 - for those whose steps differ
        """Batches whose gradients make optimizer step `step`, counted from 0; at most `accumulate`."""
        return self._accumulate

    def weight(self, images: int, batches: int) -> float:  # noqa: ARG002 - likewise
        """What the gradients of a step, their mean over its images, are multiplied by.

        Args:
            images: Of the step.
            batches: That they came in.
        """
        return 1.0

    def prepare(self, step: int) -> None:
        """Make ready for optimizer step `step`."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule(step) * group.get("lr_scale", 1.0)

    def backward(self, loss: torch.Tensor, images: int) -> None:
        """Add the gradients of a batch, or of a part of one.

        Args:
            loss: Mean over the batch's images, or the part's share of it, with its graph.
            images: Of the whole batch.
        """
        weight = self.weight(images, 1) if self._accumulate == 1 else images
        (loss if weight == 1 else loss * weight).backward()  # type: ignore[no-untyped-call]

    def abandon(self) -> None:
        """Leave the batch under way: what its parts added is gone, what earlier batches of the step added stays."""
        self._optimizer.zero_grad(set_to_none=True)

    def add(self, images: int, *, step: int, last: bool) -> bool:
        """Count the batch whose gradients are complete.

        Args:
            images: How many it has.
            step: Optimizer steps done.
            last: It is the epoch's last batch.

        Returns:
            Whether a step was taken.

        Raises:
            RunFailedError: memory has no room for what the optimizer and the average keep.
        """
        self._batches += 1
        self._images += images
        if self._accumulate > 1:
            self._set_aside()
            if self._batches < self.batches_of(step) and not last:
                return False
            self._take_back()
        try:
            self._step(step)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            # In part the weights are new ones already, and what is missing is no smaller with a smaller batch.
            raise RunFailedError(
                f"memory has no room for the model with what the optimizer keeps of each weight: {first_line(error)}",
                instruction=ADVICE,
            ) from error
        self._batches = self._images = 0
        self._optimizer.zero_grad(set_to_none=True)  # now: the next batch's forward pass needs the memory
        return True

    def _set_aside(self) -> None:
        """Keep the batch's gradients where the next batch, which may have to be abandoned, does not reach them."""
        found = {name: p.grad for name, p in self._model.named_parameters() if p.grad is not None}
        before = [name for name in found if name in self._sums]
        if before:
            torch._foreach_add_([self._sums[name] for name in before], [found[name] for name in before])
        self._sums = {**found, **self._sums}
        self._optimizer.zero_grad(set_to_none=True)

    def _take_back(self) -> None:
        weight = self.weight(self._images, self._batches) / self._images
        if weight != 1:
            torch._foreach_mul_(list(self._sums.values()), weight)
        for name, parameter in self._model.named_parameters():
            parameter.grad = self._sums.get(name)
        self._sums = {}

    def _step(self, step: int) -> None:
        self.prepare(step)
        if self._clip_grad > 0:
            self._clip()
        self._optimizer.step()
        if self._takes_divisor():
            self._optimizer.grad_scale = None  # type: ignore[attr-defined]
        if self.average is not None:
            self.average.update(step)

    def _clip(self) -> None:
        trained = [parameter for parameter in self._model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None], foreach=True)
        if norm.device.type == "cpu" and norm.item() <= self._clip_grad:  # to ask a GPU would be to wait for it
            return
        if self._takes_divisor():  # one pass over the gradients less
            self._optimizer.grad_scale = (norm / self._clip_grad).clamp(min=1)  # type: ignore[attr-defined]
        else:
            nn.utils.clip_grads_with_norm_(trained, self._clip_grad, norm, foreach=True)

    def _takes_divisor(self) -> bool:
        """Whether the optimizer divides gradients while it reads them, as torch's gradient scaler has it do."""
        groups = self._optimizer.param_groups
        on = {parameter.device.type for group in groups for parameter in group["params"][:1]}
        return on <= {"cpu", "cuda"} and all(group.get("fused") for group in groups)

    @torch.no_grad()
    def diverged(self) -> bool:
        """Whether a weight is infinite or not a number. Waits for the device."""
        largest = nn.utils.get_total_norm(self._model.parameters(), math.inf, foreach=True)
        return not math.isfinite(largest.item())

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the model has the weights that are validated and kept."""
        if self.average is None:
            yield
            return
        with self.average.applied():
            yield

    def state_dict(self) -> dict[str, Any]:
        """What is under way between two steps, and the average."""
        return {
            "batches": self._batches,
            "images": self._images,
            "gradients": dict(self._sums),
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
        self._sums = {
            name: torch.zeros_like(parameters[name], requires_grad=False).copy_(gradient)
            for name, gradient in state["gradients"].items()
        }
        if self.average is not None:
            self.average.load_state_dict(state["average"])
