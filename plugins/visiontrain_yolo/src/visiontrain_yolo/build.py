"""From a model's name to a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from torch import nn
from ultralytics.nn.modules.head import Detect
from ultralytics.nn.tasks import ClassificationModel, DetectionModel, OBBModel, PoseModel, SegmentationModel
from ultralytics.utils import ROOT, YAML

from visiontrain.errors import SpecError
from visiontrain.torchkit.float32 import in_float32
from visiontrain_yolo.names import is_rtdetr

__all__ = ["build_model", "check_image_size", "classes_of_head", "keypoints_of", "stride_of"]


class Classifier(ClassificationModel):
    """Ultralytics' own, which counts its operations while it is built, in seconds."""

    def info(self, *_args: Any, **_options: Any) -> None:
        """Leave that out."""


#: Ultralytics' models by what a name ends with.
_KINDS = {"": DetectionModel, "-seg": SegmentationModel, "-pose": PoseModel, "-obb": OBBModel, "-cls": Classifier}


def build_model(name: str, classes: Sequence[str], *, head_classes: int, keypoints: int = 0) -> nn.Module:
    """A model with random weights, on the CPU.

    Args:
        name: Such as ``yolo26n-pose``.
        classes: Class names by class index.
        head_classes: How many classes its hidden layers were laid out for: those of the weights that it began with.
        keypoints: Of each object, where the model is for poses.
    """
    model: Any = _build(name, len(classes), keypoints)
    if head_classes != len(classes) and isinstance(
        model.model[-1], Detect
    ):  # Ultralytics lays the class branch out anew for weights of other classes
        model.load(_build(name, head_classes, keypoints), verbose=False)
    model.names = dict(enumerate(classes))
    model.nc = len(classes)
    _decode_in_float32(model)
    return model  # type: ignore[no-any-return]


def _build(name: str, classes: int, keypoints: int) -> Any:
    if is_rtdetr(name):
        from visiontrain_yolo.rtdetr import build_rtdetr  # imports much of ultralytics that no other model needs

        return build_rtdetr(name, classes)
    family, size, suffix = re.fullmatch(r"(yolov?\d+)([nsmlx])(-\w+)?", name).groups()  # type: ignore[union-attr]
    number = family.removeprefix("yolo")
    read: Any = YAML.load
    layout = read(ROOT / "cfg" / "models" / number / f"{family}{suffix or ''}.yaml")
    layout |= {"scale": size, "yaml_file": f"{name}.yaml"}
    make: Any = _KINDS[suffix or ""]
    shape = {"data_kpt_shape": (keypoints, 3)} if suffix == "-pose" else {}
    return make(layout, ch=3, nc=classes, verbose=False, **shape)


#: The last weights of the class branch.
_CLASS_BIAS = re.compile(r"model\.(\d+)\.(?:cv3\.0\.2|linear|enc_score_head)\.bias")


def classes_of_head(weights: Mapping[str, torch.Tensor]) -> int | None:
    """How many classes weights tell apart. None where they are of no such model."""
    numbers = [(int(m[1]), key) for key in weights if (m := _CLASS_BIAS.fullmatch(key))]
    return len(weights[max(numbers)[1]]) if numbers else None


def keypoints_of(model: nn.Module) -> int:
    """Of each object; 0 where the model is not for poses."""
    shape: Any = getattr(model, "kpt_shape", None)
    return int(shape[0]) if shape else 0


def stride_of(model: nn.Module) -> int:
    """What sides of images must be a multiple of."""
    stride: Any = model.stride
    return max(int(stride.max()), 32)


def check_image_size(image_size: int, stride: int) -> None:
    """Refuse what the model can't take.

    Raises:
        SpecError: it is no multiple of the stride.
    """
    if image_size % stride:
        raise SpecError(
            "image_size",
            f"must be a multiple of {stride} for this model, not {image_size}",
            instruction=f"Give {max(stride, round(image_size / stride) * stride)}.",
        )


def _decode_in_float32(model: Any) -> None:
    """Let the head make boxes in float32: bfloat16 has eight bits, and would move a corner by pixels."""
    head: Any = model.model[-1]
    if not isinstance(model.model[-1], Detect):
        return
    decode = type(head)._inference  # noqa: SLF001 - where convolutions end and coordinates begin

    def inference(predictions: dict[str, Any]) -> Any:
        device = predictions["boxes"].device.type
        with torch.autocast(device, enabled=False):
            return decode(head, in_float32(predictions))

    head._inference = inference  # noqa: SLF001
