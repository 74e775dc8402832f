"""Where a model's numbers lie in memory: channels last, in which convolutions are faster (on a CPU by a quarter)."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["as_input", "place"]


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Bring a model to its device, its convolutions with their channels last."""
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def as_input(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels from 0 to 255, (batch, 3, height, width), to what a placed model computes on: float32 from 0 to 1."""
    return pixels.contiguous(memory_format=torch.channels_last).float() / 255
