"""Which batches make which optimizer step, as a pure function: a resumed run needs no state of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Moment", "Plan", "falling"]


@dataclass(frozen=True)
class Moment:
    """An optimizer step.

    Args:
        epoch: Counted from 0.
        last: Number of its last batch, counted from 0 over the whole run.
        batches: Whose gradients make it; the last step of an epoch may have fewer.
    """

    epoch: int
    last: int
    batches: int


class Plan:
    """The steps of a run. An epoch's last batch always ends a step.

    Args:
        batches: Of an epoch.
        accumulate: Batches that make a step after warmup; it grows from 1 to that meanwhile.
        warmup: Batches of the warmup; 0: there is none.
    """

    def __init__(self, batches: int, accumulate: int, warmup: int) -> None:
        self.batches, self.accumulate, self._warmup = batches, accumulate, warmup
        self._warm_epochs = math.ceil((warmup + 1) / batches) if warmup else 0
        self._warm = [moment for epoch in range(self._warm_epochs) for moment in self._steps_of(epoch)]
        self._per_epoch = math.ceil(batches / accumulate)

    def at(self, step: int) -> Moment:
        """Optimizer step `step`, counted from 0."""
        if step < len(self._warm):
            return self._warm[step]
        epochs, number = divmod(step - len(self._warm), self._per_epoch)
        epoch = self._warm_epochs + epochs
        stop = min((number + 1) * self.accumulate, self.batches)
        return Moment(epoch, epoch * self.batches + stop - 1, stop - number * self.accumulate)

    def warmed(self, step: int) -> float:
        """How much of the warmup is done at a step, from 0 to 1."""
        return min(1.0, self.at(step).last / self._warmup) if self._warmup else 1.0

    def _steps_of(self, epoch: int) -> list[Moment]:
        found, count = [], 0
        for batch in range(self.batches):
            number = epoch * self.batches + batch
            done = min(1.0, number / self._warmup)
            count += 1
            if count >= max(1, round(1 + (self.accumulate - 1) * done)) or batch == self.batches - 1:
                found.append(Moment(epoch, number, count))
                count = 0
        return found


def falling(schedule: str, final: float, epochs: int) -> Callable[[int], float]:
    """Share of the learning rate by epoch, counted from 0: from 1 to `final` along a line or half a cosine."""
    if schedule == "cosine":
        return lambda epoch: (1 - math.cos(epoch * math.pi / epochs)) / 2 * (final - 1) + 1
    return lambda epoch: max(1 - epoch / epochs, 0) * (1 - final) + final
