"""Training options with their defaults, for the host's half and the trainer. Standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from visiontrain.errors import SpecError
from visiontrain_timm.contradictions import refuse_contradictions
from visiontrain_timm.optimizers import OPTIMIZERS

__all__ = ["TimmOptions"]

#: What changes neither the weights nor which of them are the best ones.
_NO_CONDITION = ("workers", "checkpoint_minutes", "patience")

#: What the optimizer's state, or the average's, is made for.
_IDENTITY = ("optimizer", "layer_decay", "freeze", "ema_decay")

_SHORTEST_DECAY = 0.1


@dataclass(frozen=True)
class TimmOptions:
    """See `visiontrain_timm.plugin` for what each one does, and its bounds. None: worked out and said."""

    optimizer: str = "adamw"
    momentum: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    weight_decay: float | None = None
    layer_decay: float = 1.0
    schedule: str = "cosine"
    warmup_epochs: float | None = None
    final_rate: float | None = None
    decay_epochs: str | None = None
    decay_factor: float | None = None
    accumulate: int = 1
    clip_grad: float = 0.0
    ema_decay: float = 0.0
    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_probability: float | None = None
    augmentation: str = "light"
    class_weights: str = "none"
    balanced_sampling: bool = False
    freeze: str = "none"
    drop_rate: float | None = None
    drop_path_rate: float | None = None
    mean: str | None = None
    std: str | None = None
    interpolation: str | None = None
    crop_pct: float | None = None
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False
    primary_metric: str | None = None
    patience: int = 0
    workers: int | None = None
    checkpoint_minutes: float = 10.0

    @classmethod
    def from_params(cls, options: Mapping[str, Any]) -> TimmOptions:
        """The options of a request; what it leaves out has its default, or the one that is usual with the optimizer.

        Raises:
            SpecError: there is no such option, a text can't be read, or two options contradict each other.
        """
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise SpecError(name, f"is no option of timm; there is {', '.join(known)}")
        given = cls(**options)
        if given.optimizer not in OPTIMIZERS:
            raise SpecError("optimizer", f"must be one of {', '.join(OPTIMIZERS)}, not {given.optimizer!r}")
        refuse_contradictions(given)
        given.drops(1)
        given.channels("mean")
        given.channels("std")
        given.weights_by_class()
        if given.weight_decay is not None:
            return given
        return replace(given, weight_decay=OPTIMIZERS[given.optimizer].weight_decay)

    def conditions(self) -> dict[str, Any]:
        """Those that a resumed run must share to be exact."""
        without = (*_NO_CONDITION, *_IDENTITY)
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in without}

    def identity(self) -> dict[str, Any]:
        """Those without which a run can't be resumed at all."""
        return {name: getattr(self, name) for name in _IDENTITY}

    def drops(self, epochs: int) -> tuple[float, ...]:
        """The epochs, counted from 0 and ascending, at whose beginning the schedules step and multistep are lower.

        Raises:
            SpecError: `decay_epochs` is no list of numbers, or more than one where the schedule is step.
        """
        if self.schedule == "multistep":
            return (epochs * 0.5, epochs * 0.75) if self.decay_epochs is None else self._decay_epochs()
        if self.schedule != "step":
            return ()
        every = epochs / 3 if self.decay_epochs is None else self._decay_epochs()[0]
        return tuple(number * every for number in range(1, math.ceil(epochs / every)))

    def _decay_epochs(self) -> tuple[float, ...]:
        found = _numbers("decay_epochs", self.decay_epochs or "")
        if not all(number >= _SHORTEST_DECAY for number in found):
            raise SpecError("decay_epochs", f"must be at least {_SHORTEST_DECAY}, not {self.decay_epochs}")
        if self.schedule == "step" and len(found) > 1:
            raise SpecError(
                "decay_epochs",
                f"must be one number where the schedule is step, not {self.decay_epochs}",
                instruction="Set schedule=multistep for the epochs themselves.",
            )
        return tuple(sorted(found))

    def channels(self, name: str) -> tuple[float, ...] | None:
        """`mean` or `std` as three numbers. None: the model's own.

        Raises:
            SpecError: it is not one number or three, or out of bounds.
        """
        text: str | None = getattr(self, name)
        if text is None:
            return None
        found = _numbers(name, text)
        if len(found) not in (1, 3):
            raise SpecError(name, f"must be one number, or one each for red, green and blue, not {text!r}")
        lowest = 0.0 if name == "mean" else 1e-3
        if not all(lowest <= number <= 1 for number in found):
            raise SpecError(name, f"must be between {lowest:g} and 1, for pixels from 0 to 1, not {text}")
        return found * 3 if len(found) == 1 else found

    def weights_by_class(self) -> dict[str, float] | None:
        """Given weights by class name. None where `class_weights` is none or balanced.

        Raises:
            SpecError: the text can't be read, or a weight is not above 0.
        """
        text = self.class_weights
        if text in ("none", "balanced"):
            return None
        try:
            if text.startswith("{"):
                found = {str(name): float(weight) for name, weight in json.loads(text).items()}
            else:
                pairs = (pair.rpartition("=") for pair in text.split(","))
                found = {name.strip(): float(weight) for name, _, weight in pairs}
        except (ValueError, TypeError, AttributeError) as e:
            raise SpecError(
                "class_weights",
                f"must be none, balanced or weights by class name, not {text!r}",
                instruction="Write them as cat=2,dog=0.5, or as a JSON object where a name has a comma.",
            ) from e
        if not all(math.isfinite(weight) and weight > 0 for weight in found.values()):
            raise SpecError("class_weights", f"must be above 0, not {text}")
        return found


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(math.isfinite(number) for number in found):
        raise SpecError(name, f"must be numbers with commas between them, not {text!r}")
    return found
