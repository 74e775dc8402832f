"""The vision problems, and the metric that picks the best checkpoint of each."""

from __future__ import annotations

from enum import Enum

__all__ = ["OBJECT_TASKS", "PRIMARY_METRIC", "PRIMARY_METRIC_MULTI_LABEL", "Task", "primary_metric"]


class Task(str, Enum):
    """The vision problem."""

    classify = "classify"
    detect = "detect"
    segment = "segment"
    semantic = "semantic"
    pose = "pose"
    obb = "obb"
    embed = "embed"
    vlm = "vlm"

    def __str__(self) -> str:
        return self.value


#: Tasks whose models find objects in an image, each with its box.
OBJECT_TASKS = frozenset({Task.detect, Task.segment, Task.pose, Task.obb})

#: Higher is better for all of them.
PRIMARY_METRIC: dict[Task, str] = {
    Task.classify: "accuracy",
    Task.detect: "map50_95",
    Task.segment: "map50_95",
    Task.semantic: "miou",
    Task.pose: "map50_95",
    Task.obb: "map50_95",
    Task.embed: "recall_at_1",
    Task.vlm: "exact_match",
}

#: Of classify, where an image may have any number of classes.
PRIMARY_METRIC_MULTI_LABEL = "map"


def primary_metric(task: Task, *, multi_label: bool = False) -> str:
    """The metric that picks the best checkpoint of a run on such data."""
    return PRIMARY_METRIC_MULTI_LABEL if multi_label and task is Task.classify else PRIMARY_METRIC[task]
