"""The options of a classifier's training. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.protocol.tasks import Task, primary_metric

__all__ = ["CLASSIFICATION_METRICS", "ClassificationOptions"]

#: What may pick the best epoch.
CLASSIFICATION_METRICS = (
    "accuracy", "accuracy_top5", "map", "f1_macro", "f1_weighted", "precision_macro", "recall_macro", "val_loss",
)  # fmt: skip

#: What only one of the two kinds of data has.
_OF_ONE_LABEL = ("accuracy", "accuracy_top5")
_OF_SEVERAL = ("map",)

#: Classes that the top five have to be fewer than.
_TOP = 5


@dataclass(frozen=True)
class ClassificationOptions(ModelOptions):
    """See `visiontrain.plugin.hyperparameters` for what each one does, and its bounds. None: worked out and said."""

    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_probability: float | None = None
    balanced_sampling: bool = False
    crop_pct: float | None = None

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
        self.check_weighted_classes(classes)
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
        if wanted not in CLASSIFICATION_METRICS:
            raise SpecError(
                "primary_metric",
                f"can't be {wanted} for the task {Task.classify}",
                instruction="Set accuracy or f1_macro, or leave it out.",
            )
        if wanted in (_OF_ONE_LABEL if multi_label else _OF_SEVERAL):
            kind = "any number of labels" if multi_label else "one class"
            other = ("map", "f1_macro") if multi_label else ("accuracy", "f1_macro")
            raise SpecError(
                "primary_metric",
                f"can't be {wanted}: the images have {kind} each",
                instruction=f"Set {' or '.join(other)}, or leave it out.",
            )
        return wanted

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
