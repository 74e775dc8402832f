"""The canonical names of metrics: one each, whatever a framework calls it."""

from __future__ import annotations

import re

from visiontrain.protocol.tasks import Task

__all__ = ["LOSS_PART", "METRICS", "PER_CLASS", "is_canonical"]

_ALWAYS = ("train_loss", "val_loss", "learning_rate", "images_per_second")
_BOXES = ("map50", "map50_95", "precision", "recall")
_DIRECTIONS = ("image_to_text", "text_to_image")


def _heads(*heads: str) -> tuple[str, ...]:
    return (*_BOXES, *(f"{name}_{head}" for head in heads for name in _BOXES))


#: Names by task; those of every training are among them.
METRICS: dict[Task, frozenset[str]] = {
    task: frozenset({*_ALWAYS, *names})
    for task, names in {
        Task.classify: (
            *("accuracy", "accuracy_top5", "precision_macro", "recall_macro", "f1_macro", "f1_weighted"),
            "map",  # of multi-label data
        ),
        Task.detect: _heads("box"),
        Task.segment: _heads("box", "mask"),
        Task.semantic: ("miou", "pixel_accuracy", "mean_accuracy"),
        Task.pose: _heads("box", "pose"),
        Task.obb: _heads("obb"),
        Task.embed: (
            "zero_shot_accuracy",
            *(f"recall_at_{count}" for count in (1, 5, 10)),
            *(f"recall_at_{count}_{direction}" for count in (1, 5, 10) for direction in _DIRECTIONS),
        ),
        Task.vlm: ("exact_match", "edit_similarity"),
    }.items()
}

#: What may be told of one class, as ``NAME/CLASS``, beside the task's own names.
PER_CLASS = frozenset({"precision", "recall", "f1", "iou", "average_precision"})

#: What a loss is made of: train_box_loss, val_box_loss. The word between is the framework's.
LOSS_PART = re.compile("(train|val)_([a-z0-9]+(?:_[a-z0-9]+)*)_loss")


def is_canonical(name: str, task: Task) -> bool:
    """Whether a number of that task goes by this name; ``NAME/CLASS`` is the number of one class."""
    metric, _, label = name.partition("/")
    if label:
        return metric in PER_CLASS or metric in METRICS[task]
    return name in METRICS[task] or LOSS_PART.fullmatch(name) is not None
