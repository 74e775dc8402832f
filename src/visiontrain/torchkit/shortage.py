"""Running out of a device's memory: what tells it, and what can be given back."""

from __future__ import annotations

import gc

import torch

__all__ = ["ADVICE", "first_line", "is_out_of_memory", "release_memory"]

#: What to do where even a split does not help.
ADVICE = (
    "Set a smaller --image-size, take a smaller model, or end what else uses the device's memory. The last checkpoint, "
    "where there is one, is from before and intact."
)

#: What torch, its allocators and the libraries below it say, each in an exception of another class.
_TEXTS = (
    "out of memory",  # CUDA's and HIP's driver in an AcceleratorError, MPS in a RuntimeError
    "can't allocate memory",  # DefaultCPUAllocator
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one that it was raised from, says that a device's or the machine's memory is used up."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, (torch.OutOfMemoryError, MemoryError)):
            return True
        if isinstance(found, RuntimeError) and any(text in str(found) for text in _TEXTS):
            return True
        found = found.__cause__
    return False


def first_line(error: BaseException) -> str:
    """What an exception says, without what torch writes below it; of one that says nothing, its class."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def release_memory(device: torch.device) -> None:
    """Give back what nothing refers to any more. Not within an ``except``: its traceback still refers to everything."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
