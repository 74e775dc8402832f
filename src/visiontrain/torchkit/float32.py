"""What is computed in float32 also where the rest is not."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["in_float32"]


def in_float32(value: Any) -> Any:
    """A nested value with its floating-point tensors as float32."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: in_float32(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(in_float32(item) for item in value)
    return value
