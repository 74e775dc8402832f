"""Which metrics of many are shown, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from visiontrain.protocol import tasks
from visiontrain.protocol.metrics import LOSS_PART
from visiontrain.protocol.tasks import Task

__all__ = ["ASIDE", "ordered", "per_class", "primary_metric"]

#: Shown first, in this order; the task's primary metric comes with them.
_FIRST = ("train_loss", "val_loss")
#: Never among the key metrics: how fast and by which schedule, not how good.
ASIDE = ("learning_rate", "images_per_second")


def primary_metric(task: str, *, multi_label: bool = False) -> str | None:
    """The metric that picks a run's best checkpoint; None for a task that this version does not know."""
    try:
        return tasks.primary_metric(Task(task), multi_label=multi_label)
    except ValueError:
        return None


def ordered(names: Iterable[str], primary: str | None) -> list[str]:
    """Names of metrics, the telling ones first; per-class ones (``metric/class``) left out."""
    plain = [name for name in names if "/" not in name]
    first = [name for name in (*_FIRST, primary) if name in plain]
    # What a loss is made of comes after all that says how good a model is.
    parts = [name for name in plain if LOSS_PART.fullmatch(name)]
    last = [*parts, *(name for name in ASIDE if name in plain)]
    return [*first, *(name for name in plain if name not in (*first, *last)), *last]


def per_class(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Values of ``metric/class name`` by class, then by metric."""
    found: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        of, slash, label = name.partition("/")
        if slash:
            found.setdefault(label, {})[of] = value
    return found
