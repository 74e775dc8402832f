"""A classifier of transformers as torchkit wants it: pixels in, class scores out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.images import default_image_config, own_size, read_image_config
from visiontrain_hf.kinds import HfModel, Kind

__all__ = ["CLASSIFIERS", "HfClassifier", "classifier_class", "head_of", "other_size"]


class HfClassifier(HfModel):
    """Gives class scores alone.

    Args:
        network: A model of transformers for image classification.
        interpolate: Let its position embeddings be interpolated to the size of the images.
    """

    def __init__(self, network: nn.Module, *, interpolate: bool = False) -> None:
        super().__init__(network, (head_of(network),))
        self._arguments: dict[str, Any] = {"interpolate_pos_encoding": True} if interpolate else {}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images, (batch, 3, height, width), to class scores, (batch, classes)."""
        scores: torch.Tensor = self.network(pixel_values=images, **self._arguments).logits
        return scores

    def try_out(self, images: torch.Tensor) -> None:
        """One row of scores an image."""
        out = self(images)
        if not isinstance(out, torch.Tensor) or out.ndim != 2:  # noqa: PLR2004 - (batch, classes)
            raise SpecError("model", "it does not give one row of class scores an image: it is no classifier")


def classifier_class(config: Any) -> type[Any] | None:
    """transformers' class that classifies with this kind of model; None where it has none.

    Args:
        config: A configuration of transformers.
    """
    found: Any = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING.get(type(config), None)
    kind: type[Any] | None = found[0] if isinstance(found, tuple) else found  # the one without a teacher's token
    return kind


def head_of(network: nn.Module) -> str:
    """Name of the module that makes class scores: the last one at the model's top."""
    names = [name for name, module in network.named_children() if any(True for _ in module.parameters())]
    return names[-1]


def other_size(config: Any, images: ImageConfig) -> bool:
    """Whether images have another size than a configuration says; one that says none takes any."""
    own = getattr(config, "image_size", None)
    return own is not None and images.size != (tuple(own) if isinstance(own, (list, tuple)) else (own, own))


def _own(kind: type[Any], config: Any, images: ImageConfig) -> dict[str, Any]:
    """Whether position embeddings are to be interpolated: the images have another size, and the network can do it."""
    can = "interpolate_pos_encoding" in inspect.signature(kind.forward).parameters
    return {"interpolate": can and other_size(config, images)}


def _wrap(network: nn.Module, _config: Any, own: Mapping[str, Any]) -> HfClassifier:
    return HfClassifier(network, interpolate=bool(own["interpolate"]))


CLASSIFIERS = Kind(
    task=Task.classify,
    doing="classify images",
    find=classifier_class,
    own=_own,
    wrap=_wrap,
    image_size=own_size,
    default_images=default_image_config,
    read_images=read_image_config,
)
