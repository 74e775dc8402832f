"""Semantic segmentation with transformers as torchkit wants it: pixels in, maps of class scores out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.models.auto.modeling_auto import MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.classifier import other_size
from visiontrain_hf.images import read_image_config
from visiontrain_hf.kinds import HfModel, Kind, class_modules
from visiontrain_hf.mask2former import HfMask2FormerMaps, mask2former_class

__all__ = ["SEGMENTERS", "HfSegmenter", "segmenter_class"]

#: Of images, in pixels, both sides, where nothing is said: what SegFormer and UPerNet are trained at with ADE20K.
_USUAL_SIZE = 512

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

#: What transformers calls a second head that only helps to learn.
_AUXILIARY = "auxiliary_head"


class HfSegmenter(HfModel):
    """Gives maps of class scores.

    Args:
        network: A model of transformers for semantic segmentation.
        heads: Names of the modules whose weights are for its classes.
        interpolate: Let its position embeddings be interpolated to the size of the images.
        auxiliary: What the loss of its auxiliary head counts, where it has one.
    """

    def __init__(
        self, network: nn.Module, heads: tuple[str, ...], *, interpolate: bool = False, auxiliary: float = 0.0
    ) -> None:
        backbone, *above = [name for name, part in network.named_children() if any(True for _ in part.parameters())]
        super().__init__(network, heads, backbone=(backbone,), above=tuple(above))
        self._auxiliary = auxiliary
        self._arguments: dict[str, Any] = {"interpolate_pos_encoding": True} if interpolate else {}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images, (batch, 3, height, width), to scores, (batch, classes, rows, columns)."""
        scores: torch.Tensor = self.network(pixel_values=images, **self._arguments).logits
        return scores

    def training_maps(self, images: torch.Tensor) -> list[tuple[torch.Tensor, float]]:
        """The scores, and those of an auxiliary head, as `visiontrain.torchkit.semantic.learner` wants them."""
        head = getattr(self.network, _AUXILIARY, None)
        if head is None:
            return [(self(images), 1.0)]
        seen: list[torch.Tensor] = []  # transformers computes them and keeps them to itself
        handle = head.register_forward_hook(lambda _module, _given, found: seen.append(found))
        try:
            maps = self(images)
        finally:
            handle.remove()
        return [(maps, 1.0), (seen[0], self._auxiliary)]

    def leave_out_what_only_training_needs(self) -> None:
        """The auxiliary head, which would be computed all the same."""
        if getattr(self.network, _AUXILIARY, None) is not None:
            setattr(self.network, _AUXILIARY, None)

    def try_out(self, images: torch.Tensor) -> None:
        """A map for each class."""
        out = self(images)
        if not isinstance(out, torch.Tensor) or out.ndim != 4:  # noqa: PLR2004 - (batch, classes, rows, columns)
            raise SpecError("model", "it does not give a map of scores a class: it segments nothing")


def segmenter_class(config: Any) -> type[Any] | None:
    """transformers' class for semantic segmentation with this kind of model; None where it has none.

    Args:
        config: A configuration of transformers.
    """
    found: Any = MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING.get(type(config), None)
    kind: type[Any] | None = found
    return mask2former_class(config) if kind is None else kind


def _own(kind: type[Any], config: Any, images: ImageConfig) -> dict[str, Any]:
    """Whether position embeddings are interpolated, and which modules are for the classes."""
    can = "interpolate_pos_encoding" in inspect.signature(kind.forward).parameters
    return {"interpolate": can and other_size(config, images), "heads": list(class_modules(kind, config))}


def _wrap(network: nn.Module, config: Any, own: Mapping[str, Any]) -> HfModel:
    if mask2former_class(config) is not None:
        return HfMask2FormerMaps(network)
    return HfSegmenter(
        network,
        tuple(own["heads"]),
        interpolate=bool(own["interpolate"]),
        auxiliary=float(getattr(config, "auxiliary_loss_weight", 0.0)),
    )


def _image_size(config: Any) -> int:
    own = getattr(config, "image_size", None)
    return int(own[0]) if isinstance(own, (list, tuple)) else int(own or _USUAL_SIZE)


def _default_images(size: int) -> ImageConfig:
    return ImageConfig(
        (size, size), _IMAGENET_MEAN, _IMAGENET_STD, interpolation="bilinear", crop_pct=1.0, crop_mode="squash"
    )


def _read_images(path: Path, image_size: int) -> ImageConfig:
    """What a preprocessor's description means for us: both sides are resized, so that each pixel has its class.

    ``do_reduce_labels`` is nothing to us: it says that the values of ADE20K's own masks are one too high, and what the
    values of ours mean is said by the index.
    """
    return replace(read_image_config(path, image_size), crop_pct=1.0, crop_mode="squash")


SEGMENTERS = Kind(
    task=Task.semantic,
    doing="segment images by class",
    find=segmenter_class,
    own=_own,
    wrap=_wrap,
    image_size=_image_size,
    default_images=_default_images,
    read_images=_read_images,
)
