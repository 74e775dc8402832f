"""What a batch changes before the weights do, and how it is undone."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visiontrain.torchkit.randomness import capture_rng, restore_rng

__all__ = ["Undo"]


class Undo:
    """Keeps random generators and a model's buffers, such as batch norm's statistics, as they are before a batch.

    Args:
        model: On its device.
        device: The model's.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._device = device
        kept = model.state_dict().keys()
        buffers = [buffer for name, buffer in model.named_buffers() if name in kept]
        # Tensors of one type at a time: only those are copied together.
        types = {buffer.dtype for buffer in buffers}
        self._buffers = [[buffer for buffer in buffers if buffer.dtype == dtype] for dtype in types]
        self._copies = [[buffer.detach().clone() for buffer in group] for group in self._buffers]
        self._rng: dict[str, Any] | None = None

    @torch.no_grad()
    def mark(self) -> None:
        """Keep the state of now."""
        for copies, buffers in zip(self._copies, self._buffers, strict=True):
            torch._foreach_copy_(copies, buffers)
        self._rng = capture_rng(self._device)

    @torch.no_grad()
    def back(self) -> None:
        """Bring back what `mark` kept last."""
        if self._rng is None:
            raise RuntimeError("nothing was kept")
        for copies, buffers in zip(self._copies, self._buffers, strict=True):
            torch._foreach_copy_(buffers, copies)
        restore_rng(self._rng, self._device)
