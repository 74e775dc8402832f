"""timm's optimizer over a model of timm's."""

from __future__ import annotations

import torch
from timm.models import group_parameters
from timm.optim._optim_factory import create_optimizer_v2
from torch import nn

from visiontrain.errors import SpecError
from visiontrain.torchkit.optimizing import optimizer_arguments, parameter_groups
from visiontrain_timm.options import TimmOptions

__all__ = ["build_optimizer"]


def build_optimizer(model: nn.Module, learning_rate: float, options: TimmOptions) -> torch.optim.Optimizer:
    """timm's optimizer over the parameters that are not frozen. What the model names has no weight decay.

    Raises:
        SpecError: the model can't be trained with layer decay.
    """
    without: set[str] = getattr(model, "no_weight_decay", set)()
    layers = _layers(model) if options.layer_decay < 1 else {}
    groups = parameter_groups(model, options, layers=layers, without_decay=without)
    return create_optimizer_v2(groups, options.optimizer, lr=learning_rate, **optimizer_arguments(options))


def _layers(model: nn.Module) -> dict[str, int]:
    """The number of each parameter's layer, from 0 at the image to the classifier."""
    matcher = getattr(model, "group_matcher", None)
    if matcher is None:
        raise SpecError(
            "layer_decay",
            "can't be had with this model: it does not say which layer a parameter belongs to",
            instruction="Leave it out.",
        )
    found: dict[str, int] = group_parameters(model, matcher(coarse=False), reverse=True)
    return found
