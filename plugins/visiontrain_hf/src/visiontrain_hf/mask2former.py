"""Mask2Former (arXiv:2112.01527) as torchkit wants it: pixels in, queries with class scores and masks out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.images import read_preprocessor
from visiontrain_hf.kinds import HfModel, Kind
from visiontrain_hf.mask_queries import Queries

__all__ = ["INSTANCES", "HfMask2Former", "as_exporters_want", "mask2former_class"]

#: What is for the classes: their scores, and what each of them and "no object" count in the loss.
_HEADS = ("class_predictor", "criterion")

#: Of images, in pixels, both sides, where nothing is said: that of the models with Swin on the hub.
_SIZE = 384

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

_BACKBONE = "model.pixel_level_module.encoder"


class HfMask2Former(HfModel):
    """Gives what each layer of the decoder says, the last one's word last.

    Args:
        network: transformers' ``Mask2FormerForUniversalSegmentation``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, _HEADS, (_BACKBONE,))

    def forward(self, images: torch.Tensor) -> tuple[Queries, ...]:
        """Normalised images, (batch, 3, height, width), to the queries of each layer."""
        # Without the hidden states the layers' queries are not there where `use_auxiliary_loss` is off.
        out: Any = self.network(pixel_values=images, output_hidden_states=True, output_auxiliary_logits=True)
        layers = [Queries(each["class_queries_logits"], each["masks_queries_logits"]) for each in out.auxiliary_logits]
        return (*layers, Queries(out.class_queries_logits, out.masks_queries_logits))

    def try_out(self, images: torch.Tensor) -> None:
        """One forward pass: what comes of it is always the same."""
        self(images)


def mask2former_class(config: Any) -> type[Any] | None:
    """transformers' class; None where the configuration is another model's."""
    return Mask2FormerForUniversalSegmentation if isinstance(config, Mask2FormerConfig) else None


def as_exporters_want(model: nn.Module) -> nn.Module:
    """The same model, changed in place: attention is computed in steps that ONNX's exporter knows.

    Args:
        model: A `HfMask2Former`.
    """
    network: Any = model.get_submodule("network")
    network.set_attn_implementation("eager")
    return model


def _no_more(_found: type[Any], _config: Any, _images: ImageConfig) -> dict[str, Any]:
    return {}


def _wrap(network: nn.Module, _config: Any, _own: Mapping[str, Any]) -> HfMask2Former:
    return HfMask2Former(network)


def _usual_size(_config: Any) -> int:
    return _SIZE


def _default_images(size: int) -> ImageConfig:
    return ImageConfig(
        (size, size), _IMAGENET_MEAN, _IMAGENET_STD, interpolation="bilinear", crop_pct=1.0, crop_mode="squash"
    )


def _read_images(path: Path, size: int) -> ImageConfig:
    """Whole images: both sides are resized, or images keep their shape where it is the longer side that is given."""
    return read_preprocessor(path, lambda told: _interpret(told, size))


def _interpret(told: Mapping[str, Any], size: int) -> ImageConfig:
    usual = _default_images(size)
    given: Any = told.get("size", size) if told.get("do_resize", True) else size
    mode = "squash"
    if isinstance(given, Mapping) and "shortest_edge" in given:
        given, mode = int(given.get("longest_edge") or told.get("_max_size") or given["shortest_edge"]), "border"
    sides = (given["height"], given["width"]) if isinstance(given, Mapping) else (given, given)
    mean, std = told.get("image_mean", usual.mean), told.get("image_std", usual.std)
    if not told.get("do_normalize", True):
        mean, std = (0.0,) * 3, (1.0,) * 3
    if len(mean) != 3 or len(std) != 3:  # noqa: PLR2004 - red, green, blue
        raise ValueError("its mean or std is not of three channels")
    resample = Image.Resampling(told.get("resample", Image.Resampling.BILINEAR)).name.lower()
    return ImageConfig(
        (int(sides[0]), int(sides[1])),
        tuple(map(float, mean)),
        tuple(map(float, std)),
        interpolation=resample,
        crop_pct=1.0,
        crop_mode=mode,
    )


INSTANCES = Kind(
    task=Task.segment,
    doing="segment the instances in images",
    find=mask2former_class,
    own=_no_more,
    wrap=_wrap,
    image_size=_usual_size,
    default_images=_default_images,
    read_images=_read_images,
)
