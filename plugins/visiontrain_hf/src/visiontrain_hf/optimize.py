"""torch's optimizers over a model of transformers."""

from __future__ import annotations

from typing import Any

import torch

from visiontrain.torchkit.optimizing import optimizer_arguments, parameter_groups
from visiontrain_hf.kinds import HfModel
from visiontrain_hf.layers import layers_of
from visiontrain_hf.options import HfOptions

__all__ = ["build_optimizer"]

_CLASSES: dict[str, Any] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "nadamw": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

#: What has no weight decay beside biases and norms: they say where something is, or that it is a token.
_WITHOUT_DECAY = (
    "*cls_token",
    "*mask_token",
    "*distillation_token",
    "*position_embeddings",
    "*relative_position_bias*",
)

_TRAINED_BACKBONE = 0.1


def build_optimizer(model: HfModel, learning_rate: float, options: HfOptions) -> torch.optim.Optimizer:
    """An optimizer over the parameters that are not frozen."""
    layers = {}
    if options.layer_decay < 1:
        layers = {f"network.{name}": number for name, number in layers_of(model.network, model.above).items()}
    shares = _shares(model, options) if model.has_backbone else {}
    groups = parameter_groups(model, options, layers=layers, without_decay=_WITHOUT_DECAY, shares=shares)
    arguments = optimizer_arguments(options)
    if options.optimizer == "nadamw":
        arguments["decoupled_weight_decay"] = True
    optimizer: torch.optim.Optimizer = _CLASSES[options.optimizer](groups, lr=learning_rate, **arguments)
    return optimizer


def _shares(model: HfModel, options: HfOptions) -> dict[str, float]:
    """Of the learning rate in the backbone: a tenth of it where that has been trained, as in DETR and SegFormer.

    LoRA's additions are new, and learn as fast as the rest; where layers learn slower and slower, that is enough.
    """
    usual = _TRAINED_BACKBONE if model.begun_trained and options.layer_decay == 1 else 1.0
    share = usual if options.backbone_rate is None else options.backbone_rate
    if share == 1:
        return {}
    names = [name for name, _ in model.network.named_parameters() if ".lora_" not in name]
    return {f"network.{name}": share for name in names if model.in_backbone(name)}
