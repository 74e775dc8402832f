"""What a model says of an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

__all__ = ["Prediction", "ScoredLabel"]

#: From this probability on an image of multi-label data is said to have a label.
THRESHOLD = 0.5

_TOP = 5


class ScoredLabel(NamedTuple):
    """A class name and its probability, from 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True, repr=False)
class Prediction:
    """What was found in one image.

    Args:
        path: The image's file; None where pixels were given.
        width: Of the image as it is shown, in pixels.
        height: Likewise.
        probabilities: From 0 to 1 by class name, in the order of the class indices. They add up to 1, unless an image
            may have several labels.
        multi_label: Whether it may.
        error: Why the image can't be read; nothing else is known of it then.
    """

    path: Path | None
    width: int = 0
    height: int = 0
    probabilities: dict[str, float] = field(default_factory=dict)
    multi_label: bool = False
    error: str | None = None

    def __repr__(self) -> str:
        """The image, and what was found in it."""
        if self.error is not None:  # which begins with the image
            return f"<Prediction: {self.error}>"
        found = ", ".join(f"{label} {self.probabilities[label]:.3f}" for label in self.labels)
        return f"<Prediction of {self.path or 'pixels'}: {found or 'no label'}>"

    def top(self, count: int) -> list[ScoredLabel]:
        """The most probable labels, the best first."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return [ScoredLabel(*item) for item in ranked[:count]]

    @property
    def top5(self) -> list[ScoredLabel]:
        """The five most probable labels, the best first; fewer where there are fewer classes."""
        return self.top(_TOP)

    @property
    def label(self) -> str | None:
        """The most probable label; None where the image can't be read."""
        return max(self.probabilities, key=self.probabilities.__getitem__) if self.probabilities else None

    @property
    def probability(self) -> float | None:
        """The probability of `label`."""
        return max(self.probabilities.values()) if self.probabilities else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the image has: of multi-label data those of a probability of 0.5 or more, else `label`."""
        if self.multi_label:
            return tuple(label for label, probability in self.probabilities.items() if probability >= THRESHOLD)
        return () if self.label is None else (self.label,)
