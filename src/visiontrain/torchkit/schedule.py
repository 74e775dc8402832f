"""The learning rate as a pure function of the step, so that a resumed run needs no state of it."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

__all__ = ["Schedule", "Shape"]

Shape = Literal["cosine", "linear", "steps", "constant"]


@dataclass(frozen=True)
class Schedule:
    """Linear warmup to the peak, then one of four shapes.

    Args:
        peak: The learning rate after warmup.
        steps: Optimizer steps of the whole run.
        warmup: Optimizer steps of the warmup.
        shape: ``cosine``: half a cosine down to `final` times the peak; ``linear``: a straight line down to it;
            ``steps``: the peak, times `factor` at each of `drops`; ``constant``: the peak.
        final: Share of the peak that is left at the end, of ``cosine`` and ``linear``.
        drops: Optimizer steps, counted from 0 and ascending, from which on ``steps`` is lower.
        factor: What is left of the learning rate at each of them.
    """

    peak: float
    steps: int
    warmup: int = 0
    shape: Shape = "cosine"
    final: float = 0.01
    drops: tuple[int, ...] = ()
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        """The learning rate of optimizer step `step`, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        if self.shape == "steps":
            return self.peak * self.factor ** bisect_right(self.drops, step)
        if self.shape == "constant":
            return self.peak
        done = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        left = 0.5 * (1 + math.cos(math.pi * done)) if self.shape == "cosine" else 1 - done
        return self.peak * (self.final + (1 - self.final) * left)
