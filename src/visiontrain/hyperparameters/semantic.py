"""The options of a training for semantic segmentation. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.protocol.tasks import Task, primary_metric

__all__ = ["SEMANTIC_METRICS", "SemanticOptions"]

#: What may pick the best epoch.
SEMANTIC_METRICS = ("miou", "pixel_accuracy", "mean_accuracy", "val_loss")


@dataclass(frozen=True)
class SemanticOptions(ModelOptions):
    """See `visiontrain.plugin.hyperparameters` for what each one does, and its bounds. None: worked out and said."""

    def semantic_metric(self) -> str:
        """What picks the best epoch: the option, else the task's.

        Raises:
            SpecError: pixels have no such metric.
        """
        wanted = self.primary_metric
        if wanted is None:
            return primary_metric(Task.semantic)
        if wanted not in SEMANTIC_METRICS:
            raise SpecError(
                "primary_metric",
                f"can't be {wanted} for the task {Task.semantic}",
                instruction=f"Set one of {', '.join(SEMANTIC_METRICS)}, or leave it out.",
            )
        return wanted
