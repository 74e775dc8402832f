"""A detector of transformers as torchkit wants it: pixels in, class scores and boxes of queries out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from transformers.models.auto.modeling_auto import MODEL_FOR_OBJECT_DETECTION_MAPPING

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.float32 import in_float32
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.detector_images import default_detector_images, detector_size, read_detector_images
from visiontrain_hf.kinds import HfModel, Kind, class_modules

__all__ = ["DETECTORS", "HfDetector"]

#: transformers' types that are trained, and whether they are told where an image's border begins. Those that are have
#: their boxes in shares of the image without it, as DETR has them (arXiv:2005.12872, and its published weights; what
#: transformers' image processor makes of boxes when it pads is something else); others in shares of the canvas.
_FAMILIES = {
    "rt_detr": False,
    "rt_detr_v2": False,
    "d_fine": False,
    "detr": True,
    "conditional_detr": True,
    "deformable_detr": True,
    "dab-detr": True,
    "table-transformer": True,
    "yolos": False,
}

#: What classes are called whose numbers become a box.
_BOX_HEAD = "MLPPredictionHead"

_TIMM = "timm_backbone"


class HfDetector(HfModel):
    """Gives what transformers' network gives: ``logits``, ``pred_boxes``, and of labels ``loss`` and ``loss_dict``.

    The loss, and the layers that say where a box is, are computed in float32: bfloat16 has eight bits.

    Args:
        network: A model of transformers for object detection.
        config: Its configuration.
    """

    def __init__(self, network: nn.Module, config: Any) -> None:
        super().__init__(network, class_modules(type(network), config), _backbone_of(network))
        self.config = config
        self.sees_borders = _FAMILIES[config.model_type]
        network.requires_grad_()  # some freeze a part of their backbone: that is the option freeze's to say
        told: Any = network
        told.loss_function = _shown(_precisely(told.loss_function))
        for module in network.modules():
            if type(module).__name__.endswith(_BOX_HEAD):
                changed: Any = module
                changed.forward = _precisely(changed.forward)

    def forward(
        self,
        images: torch.Tensor,
        pixel_mask: torch.Tensor | None = None,
        labels: list[dict[str, torch.Tensor]] | None = None,
    ) -> Any:
        """What the network says of images.

        Args:
            images: Normalised, (batch, 3, height, width).
            pixel_mask: Which pixels are the image's, bool, (batch, height, width), for a network that sees borders.
                None: all.
            labels: Of each image ``class_labels``, int64 (objects), and ``boxes``, (objects, 4) of centre x, centre y,
                width and height as shares.
        """
        given = {} if pixel_mask is None else {"pixel_mask": pixel_mask}
        return self.network(pixel_values=images, labels=labels, **given)

    def try_out(self, images: torch.Tensor) -> None:
        """Scores and boxes of queries."""
        out = self(images)
        logits, boxes = out.logits, out.pred_boxes
        if logits.ndim != 3 or boxes.shape != (*logits.shape[:2], 4):  # noqa: PLR2004 - (batch, queries, classes)
            raise SpecError("model", "it does not give class scores and a box of each query")


def _precisely(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The same, computed in float32 under autocast as well."""

    def computed(*given: Any, **named: Any) -> Any:
        device = next((each.device.type for each in (*given, *named.values()) if isinstance(each, torch.Tensor)), "cpu")
        if not torch.is_autocast_enabled(device):
            return compute(*given, **named)
        with torch.autocast(device, enabled=False):
            return compute(*in_float32(given), **in_float32(named))

    return computed


def _shown(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and of boxes that are not numbers a loss that is none either: transformers' own raises ValueError."""

    def computed(logits: torch.Tensor, labels: Any, device: Any, boxes: torch.Tensor, *given: Any, **named: Any) -> Any:
        try:
            return loss(logits, labels, device, boxes, *given, **named)
        except ValueError:
            if bool(boxes.isfinite().all()):
                raise
            return (logits.sum() + boxes.sum()) * math.nan, {}, None

    return computed


def _find(config: Any) -> type[Any] | None:
    """transformers' class that detects with this kind of model; None where it has none.

    Raises:
        SpecError: it has one that can't be trained here.
    """
    mapped: Any = MODEL_FOR_OBJECT_DETECTION_MAPPING.get(type(config), None)
    found: type[Any] | None = mapped
    if found is not None and config.model_type not in _FAMILIES:
        raise SpecError(
            "model",
            f"{config.model_type} is no detector that can be trained here",
            instruction=f"Give one of {', '.join(_FAMILIES)}.",
        )
    backbone: Any = getattr(config, "backbone_config", None)
    if found is not None and getattr(backbone, "model_type", None) == _TIMM:
        raise SpecError(
            "model",
            f"it has a backbone of timm ({backbone.backbone}), which this environment does not have",
            instruction="Give one whose backbone is transformers' own. The hub has DETR's as the revision no_timm: "
            "download it into a folder, and give that.",
        )
    return found


def _prepare(config: Any) -> None:
    """Let nothing be laid out for one size of images alone: they may have another one."""
    for name in ("eval_size", "anchor_image_size"):
        if getattr(config, name, None) is not None:
            setattr(config, name, None)


def _begin(network: nn.Module) -> None:
    """Let batch norm begin with 1 and 0, as everywhere.

    transformers has RT-DETR's begin at random around 0, from where next to nothing reaches the decoder: what it is used
    for are trained weights, which replace that.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def _backbone_of(network: nn.Module) -> tuple[str, ...]:
    """Names of the modules that are called a backbone; of a network without one those before its heads."""
    named = [name for name, _ in network.named_modules() if name.rpartition(".")[2] == "backbone"]
    outermost = tuple(name for name in named if not any(name.startswith(f"{other}.") for other in named))
    return outermost or (str(network.base_model_prefix),)


def _own(_kind: type[Any], _config: Any, _images: ImageConfig) -> dict[str, Any]:
    return {}


def _wrap(network: nn.Module, config: Any, _own: Mapping[str, Any]) -> HfDetector:
    return HfDetector(network, config)


DETECTORS = Kind(
    task=Task.detect,
    doing="detect objects",
    find=_find,
    own=_own,
    wrap=_wrap,
    image_size=detector_size,
    default_images=default_detector_images,
    read_images=read_detector_images,
    prepare=_prepare,
    begin=_begin,
)
