"""Mask2Former (arXiv:2112.01527) as torchkit wants it: pixels in, queries with class scores and masks out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from visiontrain.hyperparameters.optimizers import Start
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.detector_images import default_detector_images, read_detector_images
from visiontrain_hf.kinds import HfModel, Kind, checkpoint_activations_of
from visiontrain_hf.mask_queries import Queries, class_maps

__all__ = ["INSTANCES", "RATES", "HfMask2Former", "HfMask2FormerMaps", "as_exporters_want", "mask2former_class"]

#: Learning rates at a batch size of 32, by what a training begins from; the authors' own is 1e-4 at a batch size of 16,
#: from a trained backbone.
RATES = Start(scratch_batch_norm=2e-3, scratch=2e-3, fine_tuning=1.4e-4)

#: What is for the classes: their scores, and what each of them and "no object" count in the loss.
_HEADS = ("class_predictor", "criterion")

_SIZE = 384

_BACKBONE = "model.pixel_level_module.encoder"


class HfMask2Former(HfModel):
    """Gives what each layer of the decoder says, the last one's word last.

    Args:
        network: transformers' ``Mask2FormerForUniversalSegmentation``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, _HEADS, (_BACKBONE,))
        # transformers drops layers as often as values (the authors drop none), and then the masks no longer fit.
        decoder: Any = network.get_submodule("model.transformer_module.decoder")
        decoder.layerdrop = 0.0

    def forward(self, images: torch.Tensor) -> tuple[Queries, ...]:
        """See `layers`."""
        return self.layers(images)

    def layers(self, images: torch.Tensor) -> tuple[Queries, ...]:
        """Normalised images, (batch, 3, height, width), to the queries of each layer."""
        # Without the hidden states the layers' queries are not there where `use_auxiliary_loss` is off.
        out: Any = self.network(pixel_values=images, output_hidden_states=True, output_auxiliary_logits=True)
        layers = [Queries(each["class_queries_logits"], each["masks_queries_logits"]) for each in out.auxiliary_logits]
        return (*layers, Queries(out.class_queries_logits, out.masks_queries_logits))

    def checkpoint_activations(self) -> None:
        """Of the backbone, which keeps the most; transformers can't do it with the rest."""
        checkpoint_activations_of(self.network.get_submodule(_BACKBONE))

    def try_out(self, images: torch.Tensor) -> None:
        """One forward pass: what comes of it is always the same."""
        self(images)


class HfMask2FormerMaps(HfMask2Former):
    """Gives a map of scores for each class."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Normalised images, (batch, 3, height, width), to scores from 0 on, (batch, classes, height, width)."""
        return class_maps(self.layers(images)[-1], (images.shape[2], images.shape[3]))


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


def mask2former_size(_config: Any) -> int:
    """The size in pixels, both sides, where nothing says it: that of the models with Swin on the hub."""
    return _SIZE


def _own(_found: type[Any], _config: Any, _images: ImageConfig) -> dict[str, Any]:
    return {}


def _wrap(network: nn.Module, _config: Any, _own: Mapping[str, Any]) -> HfMask2Former:
    return HfMask2Former(network)


INSTANCES = Kind(
    task=Task.segment,
    doing="segment the instances in images",
    find=mask2former_class,
    own=_own,
    wrap=_wrap,
    image_size=mask2former_size,
    default_images=default_detector_images,
    read_images=read_detector_images,
)
