"""The options of a training whose model is built by a framework's name for it. Standard library only."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.training import TrainingOptions, read_numbers

__all__ = ["ModelOptions"]


@dataclass(frozen=True)
class ModelOptions(TrainingOptions):
    """What every task of `visiontrain.torchkit.training` has; see `visiontrain.plugin.hyperparameters` for each one."""

    augmentation: str = "light"
    class_weights: str = "none"
    primary_metric: str | None = None
    mean: str | None = None
    std: str | None = None
    interpolation: str | None = None
    channels_last: bool = True
    compile: bool = False

    def check(self) -> None:
        """Refuse texts that can't be read, and an option that another one leaves without effect.

        Raises:
            SpecError: names the option, and what to do.
        """
        super().check()
        self.channels("mean")
        self.channels("std")
        self.weights_by_class()

    def check_weighted_classes(self, classes: tuple[str, ...]) -> None:
        """Refuse a weight for a class that the data does not have.

        Args:
            classes: Names by class index.

        Raises:
            SpecError: names the option, and what to do.
        """
        unknown = [name for name in self.weights_by_class() or () if name not in classes]
        if unknown:
            raise SpecError(
                "class_weights",
                f"names {', '.join(unknown)}, which is no class of the data",
                instruction=f"There is {', '.join(classes)}.",
            )

    def channels(self, name: str) -> tuple[float, ...] | None:
        """`mean` or `std` as three numbers. None: the model's own.

        Raises:
            SpecError: it is not one number or three, or out of bounds.
        """
        text: str | None = getattr(self, name)
        if text is None:
            return None
        found = read_numbers(name, text)
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
