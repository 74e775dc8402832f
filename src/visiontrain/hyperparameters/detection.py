"""The options of a detector's training. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.protocol.tasks import Task, primary_metric

__all__ = ["DETECTION_METRICS", "DetectionOptions"]

#: What may pick the best epoch.
DETECTION_METRICS = ("map50_95", "map50", "precision", "recall", "val_loss")


@dataclass(frozen=True)
class DetectionOptions(ModelOptions):
    """See `visiontrain.plugin.hyperparameters` for what each one does, and its bounds. None: worked out and said."""

    resize: str | None = None
    backbone_rate: float | None = None

    def detection_metric(self, task: Task) -> str:
        """What picks the best epoch: the option, else the task's.

        Raises:
            SpecError: objects have no such metric.
        """
        wanted = self.primary_metric
        if wanted is None:
            return primary_metric(task)
        if wanted not in DETECTION_METRICS:
            raise SpecError(
                "primary_metric",
                f"can't be {wanted} for the task {task}",
                instruction=f"Set one of {', '.join(DETECTION_METRICS)}, or leave it out.",
            )
        return wanted
