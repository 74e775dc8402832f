"""Parts of a model that training leaves as they are."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

__all__ = ["begin_training", "freeze"]


def freeze(model: nn.Module, names: Iterable[str]) -> None:
    """Let training leave these parameters as they are.

    Args:
        model: Changed in place.
        names: Of parameters, as `nn.Module.named_parameters` has them.
    """
    parameters = dict(model.named_parameters())
    for name in names:
        parameters[name].requires_grad = False


def begin_training(model: nn.Module) -> None:
    """Put the model in training mode, but not batch norms whose parameters are frozen: their statistics stay too."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the only common base
            own = list(module.parameters(recurse=False))
            if own and not any(parameter.requires_grad for parameter in own):
                module.eval()
