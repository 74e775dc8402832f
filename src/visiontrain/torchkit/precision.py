"""Which number format the model computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from visiontrain.errors import SpecError

__all__ = ["Precision", "autocast", "computes_bf16", "resolve_precision"]

Precision = Literal["bf16", "fp32"]

#: CUDA compute capability from which bfloat16 has arithmetic of its own.
_CUDA_BF16 = (8, 0)


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has bfloat16 arithmetic of its own, so that it is faster than float32 there."""
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= _CUDA_BF16
    if device.type == "cpu":
        # The probes ask the processor; the operator also heeds ONEDNN_MAX_CPU_ISA, but is true where bf16 is emulated.
        native = any(_probe(name) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
        return native and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - has no public name
    return False


def _probe(name: str) -> bool:
    probe = getattr(torch.cpu, name, None)
    return probe is not None and bool(probe())


def resolve_precision(name: str, device: torch.device) -> Precision:
    """bf16 or fp32 for auto, bf16 or fp32; auto takes bf16 where the device computes it itself.

    Raises:
        SpecError: another name.
    """
    if name == "auto":
        return "bf16" if computes_bf16(device) else "fp32"
    if name == "bf16":
        return "bf16"
    if name == "fp32":
        return "fp32"
    raise SpecError("precision", f"must be one of auto, bf16, fp32, not {name!r}")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """What the forward pass and the loss run under. Weights, gradients and optimizer stay in float32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
