"""A device's memory: how much there is for this process, and how much it has taken."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from visiontrain.torchkit.ram import available_ram, peak_ram, ram_in_use, total_ram

__all__ = ["MemoryUse", "begin_peak", "in_gib", "memory_use", "peak_memory", "room"]


@dataclass(frozen=True)
class MemoryUse:
    """Bytes that a run takes at the most, and that there are."""

    used: int
    total: int


def in_gib(size: int) -> str:
    """Bytes in the unit that torch and drivers speak of: "5.2 GiB"."""
    return f"{size / 2**30:.1f} GiB"


def memory_use(device: torch.device) -> MemoryUse:
    """What a run has taken so far: of a GPU its own memory, on the CPU the machine's, loader processes included."""
    if device.type == "cuda":
        return MemoryUse(torch.cuda.max_memory_reserved(device), torch.cuda.get_device_properties(device).total_memory)
    if device.type == "mps":
        return MemoryUse(torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory())
    return MemoryUse(ram_in_use(), total_ram())


def room(device: torch.device) -> int:
    """Bytes that this process can have of the device in all: what is free, and what it holds already."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return available_ram() + ram_in_use()


def begin_peak(device: torch.device) -> None:
    """Let `peak_memory` tell of what comes from now on. The CPU's can't be set back."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """The most bytes that this process had of the device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()  # torch keeps what it took until it is told to give it back
    return peak_ram()
