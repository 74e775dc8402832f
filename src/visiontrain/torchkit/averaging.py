"""The moving average of the weights: smoother than the weights themselves, and often better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from visiontrain.torchkit.packing import pack

__all__ = ["WeightAverage"]

#: How fast the decay grows in the beginning: the average of a short run is not ruled by its random first weights.
_WARMUP_POWER = 2 / 3


class WeightAverage:
    """An exponential moving average of a model's parameters and buffers, on the model's device.

    The model's tensors and the average's are packed: a step then takes one pass over memory, not one a tensor. From
    then on the model must not be moved to another device or type.

    Args:
        model: Whose present values it begins with.
        decay: Share of the average that is kept at each step, above 0 and below 1. In the beginning it is smaller:
            ``1 - (step + 1) ** (-2 / 3)`` for the step counted from 0, as long as that is below `decay`.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        kept = model.state_dict().keys()
        everything = [*model.named_parameters(), *model.named_buffers()]
        self._tensors = [(name, tensor) for name, tensor in everything if name in kept]
        pieces = pack([tensor for _, tensor in self._tensors])
        self._own = [piece.values.detach() for piece in pieces]
        self._averages = [own.clone() for own in self._own]
        self._values: dict[str, torch.Tensor] = {}
        for piece, average in zip(pieces, self._averages, strict=True):
            for name, tensor in (self._tensors[number] for number in piece.members):
                self._values[name] = piece.view(tensor, average)
        names = {id(tensor): name for name, tensor in self._tensors}
        every = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
        #: Further names of what modules share; a checkpoint has them all, and must not have two values of one weight.
        self._aliases = {name: names[id(tensor)] for name, tensor in every if name in kept and name not in self._values}

    def decay(self, step: int) -> float:
        """Share of the average that is kept after optimizer step `step`, counted from 0."""
        return min(self._decay, 1 - math.pow(1 + step, -_WARMUP_POWER))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Count the weights as they are after optimizer step `step`, counted from 0."""
        averages, values = [], []
        for average, own in zip(self._averages, self._own, strict=True):
            if average.is_floating_point():
                averages.append(average)
                values.append(own)
            else:  # counters
                average.copy_(own)
        torch._foreach_lerp_(averages, values, 1 - self.decay(step))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the model has the average's values, after it its own again. Not to be trained in between."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, tensor in self._tensors:
            # .data, not a copy: nothing is computed, and optimizer and compiled graphs keep their parameters
            tensor.data, self._values[name] = self._values[name], tensor.data
        self._own, self._averages = self._averages, self._own

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The averages by each of their names."""
        return {**self._values, **{alias: self._values[name] for alias, name in self._aliases.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`'s values.

        Raises:
            KeyError: a name is missing.
            RuntimeError: a tensor has another shape.
        """
        for name, average in self._values.items():
            average.copy_(state[name])
