"""Sums that come out the same each time, where a device can make them so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import deterministic as filling

__all__ = ["deterministic"]


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Let sums on the CPU be made in one order: some of its kernels add from several threads as they come."""
    if device.type != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = filling  # its attributes are properties that type checkers do not see
    fills = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    memory.fill_uninitialized_memory = False  # costs time, and no kernel here reads what it did not write
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = fills
