"""The model names that are trained, and what each of them says. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task

__all__ = ["DEFAULT_MODEL", "MODEL_PATTERNS", "ModelName", "all_models", "has_two_heads", "is_rtdetr", "resolve_model"]

#: The model's name that stands for the smallest current one of the data's task.
DEFAULT_MODEL = "yolo"

_CURRENT = "yolo26"
_FAMILIES = ("yolo26", "yolo12", "yolo11", "yolov8")
_SIZES = "nsmlx"

#: On what published weights of a task were trained: the tag that a model's name may have, as in yolo26n.coco.
_TRAINED_ON = {
    Task.detect: "coco",
    Task.segment: "coco",
    Task.pose: "coco",
    Task.obb: "dotav1",
    Task.classify: "imagenet",
}

#: RT-DETR's models, which detect and nothing else; and whether weights of them are published.
_RTDETR = {"rtdetr-l": True, "rtdetr-x": True, "rtdetr-resnet50": False, "rtdetr-resnet101": False}

#: What a name ends with, by task.
_SUFFIXES = {
    Task.detect: "",
    Task.segment: "-seg",
    Task.pose: "-pose",
    Task.obb: "-obb",
    Task.classify: "-cls",
}


@dataclass(frozen=True)
class ModelName:
    """A model by its usual name.

    Args:
        name: Such as ``yolo26n-seg``.
        task: What it is trained for.
        published: The tag of its published weights, where there are some: what they were trained on.
    """

    name: str
    task: Task
    published: str | None


def _published(family: str, task: Task) -> str | None:
    """Of YOLO12 its authors published detectors alone."""
    return _TRAINED_ON[task] if family != "yolo12" or task is Task.detect else None


def all_models(tasks: tuple[Task, ...]) -> Iterator[ModelName]:
    """Every model for these tasks, the current family and the smallest ones first."""
    for family in _FAMILIES:
        for task in tasks:
            for size in _SIZES:
                yield ModelName(f"{family}{size}{_SUFFIXES[task]}", task, _published(family, task))
    if Task.detect in tasks:
        for name, published in _RTDETR.items():
            yield ModelName(name, Task.detect, _TRAINED_ON[Task.detect] if published else None)


def is_rtdetr(name: str) -> bool:
    """Whether a model's name is one of RT-DETR's, which differ from YOLO's in how they see images and learn."""
    return name in _RTDETR


def has_two_heads(name: str) -> bool:
    """Whether a detector's boxes need to be suppressed only where one wants that."""
    return name.startswith(_CURRENT)


def resolve_model(name: str, task: Task, tasks: tuple[Task, ...]) -> ModelName:
    """The model that a request's name means.

    Args:
        name: A model's name, with or without the tag of its published weights, or ``yolo``.
        task: The request's.
        tasks: Those that are offered.

    Raises:
        SpecError: there is no such model, or it is for another task.
    """
    if name == DEFAULT_MODEL:
        name = f"{_CURRENT}{_SIZES[0]}{_SUFFIXES[task]}"
    models = list(all_models(tasks))
    found = next((model for model in models if name in (model.name, f"{model.name}.{model.published}")), None)
    if found is None:
        raise SpecError(
            "model", f"there is no {name!r}", instruction="visiontrain models --framework yolo lists all that there is."
        )
    if found.task is not task:
        stem = f"{_CURRENT}{_SIZES[0]}" if is_rtdetr(found.name) else found.name.split("-", maxsplit=1)[0]
        raise SpecError(
            "model",
            f"{found.name} is for the task {found.task}, not for {task}",
            instruction=f"Give {stem}{_SUFFIXES[task]}.",
        )
    return found


def _endings(family: str, task: Task) -> tuple[str, ...]:
    """What follows on a family's sizes: the task's suffix, alone and with the tag of the published weights."""
    published = _published(family, task)
    return (_SUFFIXES[task],) if published is None else (_SUFFIXES[task], f"{_SUFFIXES[task]}.{published}")


#: As `fnmatch` takes them.
MODEL_PATTERNS: tuple[str, ...] = (
    DEFAULT_MODEL,
    *(f"{family}[{_SIZES}]{end}" for family in _FAMILIES for task in _SUFFIXES for end in _endings(family, task)),
    *_RTDETR,
    *(f"{name}.{_TRAINED_ON[Task.detect]}" for name, published in _RTDETR.items() if published),
)
