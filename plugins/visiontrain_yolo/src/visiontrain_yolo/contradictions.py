"""Options that don't go together. Standard library only."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task
from visiontrain_yolo.names import has_two_heads, is_rtdetr

if TYPE_CHECKING:
    from visiontrain_yolo.options import YoloOptions

__all__ = ["refuse_contradictions", "refuse_flips", "refuse_for_epochs", "refuse_for_model", "refuse_for_task"]

#: Options that classifiers alone heed, and those that they alone don't.
_OF_CLASSIFIERS = ("dropout", "auto_augment", "erasing")
_OF_OBJECTS = (
    "box", "cls", "dfl", "class_weights_power", "degrees", "translate", "shear", "perspective", "bgr", "mosaic",
    "mixup", "cutmix", "copy_paste", "close_mosaic", "multi_scale", "nms", "iou", "max_det",
)  # fmt: skip

#: Options of losses that only one task's models have.
_OF_ONE_TASK = {Task.pose: ("pose", "kobj", "rle"), Task.obb: ("angle",)}

#: Options that RT-DETR does not heed: it has a loss of its own, and boxes that need not be suppressed.
_NOT_OF_RTDETR = ("box", "cls", "dfl", "class_weights_power", "iou")

#: How many boxes RT-DETR finds in an image.
_QUERIES = 300

#: Tasks whose objects can be cut out.
_WITH_OUTLINES = (Task.segment, Task.obb)

#: Optimizers whose momentum can be warmed up.
_WITH_MOMENTUM = ("sgd", "musgd", "rmsprop")


def refuse_contradictions(options: YoloOptions) -> None:
    """Refuse an option that another one leaves without effect.

    Raises:
        SpecError: names the option, and what to do.
    """
    if options.warmup_epochs == 0:
        for name in ("warmup_momentum", "warmup_bias_lr"):
            if getattr(options, name) is not None:
                raise _without_effect(name, "warmup_epochs=0", "Leave it out, or set warmup_epochs above 0.")
    if options.warmup_momentum is not None and options.optimizer not in _WITH_MOMENTUM:
        raise _without_effect(
            "warmup_momentum",
            f"optimizer={options.optimizer}",
            f"Leave it out, or set optimizer={' or '.join(_WITH_MOMENTUM)}.",
        )
    if options.close_mosaic and not options.blends:
        raise _without_effect(
            "close_mosaic", "mosaic=0, mixup=0, cutmix=0 and copy_paste=0", "Leave it out, or set one of them above 0."
        )
    if not options.nms and options.iou != type(options).iou:
        raise _without_effect("iou", "nms=false", "Leave it out.")


def refuse_for_task(options: YoloOptions, task: Task) -> None:
    """Refuse an option that is set and of no effect for the task.

    Raises:
        SpecError: names it.
    """
    idle = _OF_OBJECTS if task is Task.classify else _OF_CLASSIFIERS
    if task not in _WITH_OUTLINES:
        idle = (*idle, "copy_paste")
    idle = (*idle, *(name for other, names in _OF_ONE_TASK.items() if other is not task for name in names))
    for field in fields(options):
        if field.name in idle and getattr(options, field.name) != field.default:
            raise _without_effect(field.name, f"the task {task}", "Leave it out.")


def refuse_for_epochs(options: YoloOptions, epochs: int) -> None:
    """Refuse what is asked of images that are made of several, where all epochs are trained on single ones.

    Raises:
        SpecError: names it.
    """
    if options.first_closed_epoch(epochs) > 0:
        return
    usual = {field.name: field.default for field in fields(options)}
    for name in ("mosaic", "mixup", "cutmix", "copy_paste"):
        if getattr(options, name) not in (0, usual[name]):
            raise _without_effect(
                name,
                f"{epochs} epochs: training images are single ones in the last ones, and here in all of them",
                f"Leave it out, or set close_mosaic below {epochs}.",
            )


def refuse_for_model(options: YoloOptions, name: str) -> None:
    """Refuse an option that is set and of no effect for the model.

    Raises:
        SpecError: names it.
    """
    if not options.nms and not has_two_heads(name):
        raise _without_effect("nms", name, "Leave it out.")
    if options.rle != type(options).rle and not has_two_heads(name):  # the same family has both
        raise _without_effect("rle", name, "Leave it out.")
    if not is_rtdetr(name):
        return
    for field in fields(options):
        if field.name in _NOT_OF_RTDETR and getattr(options, field.name) != field.default:
            raise _without_effect(field.name, name, "Leave it out.")
    if options.max_det > _QUERIES:
        raise SpecError(
            "max_det",
            f"{name} finds {_QUERIES} objects in an image at the most, not {options.max_det}",
            instruction=f"Give {_QUERIES} or less.",
        )


def refuse_flips(options: YoloOptions) -> str | None:
    """Of poses whose data does not say what keypoints become in a mirrored image, which are then not mirrored.

    Returns:
        What to tell the person; None where nothing was to be mirrored anyway.

    Raises:
        SpecError: mirror images were asked for.
    """
    usual = {field.name: field.default for field in fields(options)}
    for name in ("fliplr", "flipud"):
        if getattr(options, name) not in (0, usual[name]):
            raise SpecError(
                name,
                "can't be had: the data does not say what keypoints become in a mirrored image",
                instruction="Add flip_idx to data.yaml, or leave it out.",
            )
    if options.fliplr == options.flipud == 0:
        return None
    return "Images are not mirrored: the data does not say what keypoints become then (flip_idx in data.yaml)."


def _without_effect(name: str, because: str, instruction: str) -> SpecError:
    return SpecError(name, f"has no effect with {because}", instruction=instruction)
