"""A classifier of transformers as torchkit wants it: pixels in, class scores out."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

__all__ = ["HfClassifier", "classifier_class", "head_of", "interpolates"]


class HfClassifier(nn.Module):
    """Gives class scores alone.

    Args:
        network: A model of transformers for image classification.
        interpolate: Let its position embeddings be interpolated to the size of the images.
    """

    def __init__(self, network: nn.Module, *, interpolate: bool = False) -> None:
        super().__init__()
        self.network = network
        self.interpolate = interpolate
        self._arguments: dict[str, Any] = {"interpolate_pos_encoding": True} if interpolate else {}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images, (batch, 3, height, width), to class scores, (batch, classes)."""
        scores: torch.Tensor = self.network(pixel_values=images, **self._arguments).logits
        return scores


def classifier_class(config: Any) -> type[Any] | None:
    """transformers' class that classifies with this kind of model; None where it has none.

    Args:
        config: A configuration of transformers.
    """
    found: Any = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING.get(type(config), None)
    kind: type[Any] | None = found[0] if isinstance(found, tuple) else found  # the one without a teacher's token
    return kind


def interpolates(network: nn.Module) -> bool:
    """Whether position embeddings are interpolated where that is asked for."""
    return "interpolate_pos_encoding" in inspect.signature(network.forward).parameters


def head_of(network: nn.Module) -> str:
    """Name of the module that makes class scores: the last one at the model's top."""
    names = [name for name, module in network.named_children() if any(True for _ in module.parameters())]
    return names[-1]
