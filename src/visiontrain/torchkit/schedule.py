"""The learning rate as a pure function of the step, so that a resumed run needs no state of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["CosineSchedule"]


@dataclass(frozen=True)
class CosineSchedule:
    """Linear warmup, then half a cosine down to `final` times the peak.

    Args:
        peak: The learning rate after warmup.
        steps: Optimizer steps of the whole run.
        warmup: Optimizer steps of the warmup.
        final: Share of the peak that is left at the end.
    """

    peak: float
    steps: int
    warmup: int = 0
    final: float = 0.01

    def __call__(self, step: int) -> float:
        """The learning rate of optimizer step `step`, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.peak * (self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done)))
