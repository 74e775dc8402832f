"""The options of a classifier's training. Standard library only."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.training import TrainingOptions, read_numbers
from visiontrain.protocol.tasks import Task, primary_metric

__all__ = ["ClassificationOptions"]

#: What only one of the two kinds of data has.
_OF_ONE_LABEL = ("accuracy", "accuracy_top5")
_OF_SEVERAL = ("map",)

#: Classes that the top five have to be fewer than.
_TOP = 5


@dataclass(frozen=True)
class ClassificationOptions(TrainingOptions):
    """See `visiontrain.plugin.hyperparameters` for what each one does, and its bounds. None: worked out and said."""

    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_probability: float | None = None
    augmentation: str = "light"
    class_weights: str = "none"
    balanced_sampling: bool = False
    mean: str | None = None
    std: str | None = None
    interpolation: str | None = None
    crop_pct: float | None = None
    channels_last: bool = True
    compile: bool = False
    primary_metric: str | None = None

    def check(self) -> None:
        """Refuse texts that can't be read, and an option that another one leaves without effect.

        Raises:
            SpecError: names the option, and what to do.
        """
        super().check()
        if self.mix_probability is not None and self.mixup == 0 and self.cutmix == 0:
            raise SpecError(
                "mix_probability", "has no effect without mixup or cutmix", instruction="Set one of them above 0, too."
            )
        if self.class_weights == "balanced" and self.balanced_sampling:
            raise SpecError(
                "balanced_sampling",
                "and class_weights=balanced would make up for the same imbalance twice",
                instruction="Set one of them.",
            )
        self.channels("mean")
        self.channels("std")
        self.weights_by_class()

    def check_classes(self, classes: tuple[str, ...], *, multi_label: bool) -> None:
        """Refuse what does not go with the data's classes.

        Args:
            classes: Names by class index.
            multi_label: Whether an image has any number of them.

        Raises:
            SpecError: names the option, and what to do.
        """
        if self.primary_metric == "accuracy_top5" and len(classes) <= _TOP:
            raise SpecError(
                "primary_metric",
                f"accuracy_top5 is always 1 with {len(classes)} classes",
                instruction="Set accuracy, or another one.",
            )
        unknown = [name for name in self.weights_by_class() or () if name not in classes]
        if unknown:
            raise SpecError(
                "class_weights",
                f"names {', '.join(unknown)}, which is no class of the data",
                instruction=f"There is {', '.join(classes)}.",
            )
        if multi_label:
            self._refuse_single_label_options()

    def metric(self, *, multi_label: bool) -> str:
        """What picks the best epoch: the option, else the task's.

        Raises:
            SpecError: data of this kind has no such metric.
        """
        wanted = self.primary_metric
        if wanted is None:
            return primary_metric(Task.classify, multi_label=multi_label)
        if wanted in (_OF_ONE_LABEL if multi_label else _OF_SEVERAL):
            kind = "any number of labels" if multi_label else "one class"
            other = ("map", "f1_macro") if multi_label else ("accuracy", "f1_macro")
            raise SpecError(
                "primary_metric",
                f"can't be {wanted}: the images have {kind} each",
                instruction=f"Set {' or '.join(other)}, or leave it out.",
            )
        return wanted

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

    def _refuse_single_label_options(self) -> None:
        if self.balanced_sampling:
            raise SpecError(
                "balanced_sampling",
                "needs images of one class each, and the data is multi-label: an image that is drawn for one label "
                "brings its others",
                instruction="Leave it out; class_weights with a number for each class works.",
            )
        if self.class_weights == "balanced":
            raise SpecError(
                "class_weights",
                "can't be balanced with multi-label data: a label's images have others as well",
                instruction="Give a number for each class, or leave it out.",
            )
