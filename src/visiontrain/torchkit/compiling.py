"""torch.compile where it works, and an error that says so where it does not."""

from __future__ import annotations

import torch
from torch import nn

from visiontrain.errors import SpecError
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.shortage import first_line, is_out_of_memory, release_memory

__all__ = ["compile_model"]


def compile_model(model: nn.Module, images: torch.Tensor, precision: Precision) -> None:
    """Compile a model in place and try it, forward and backward. Its weights and buffers stay as they are.

    Each batch size gets a graph of its own: what a graph computes must not depend on which sizes came before it, or a
    resumed run would differ.

    Args:
        model: On its device.
        images: A batch as the training will give it.
        precision: Likewise.

    Raises:
        SpecError: the model, the device or the machine's compilers can't do it.
    """
    before = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    model.compile(dynamic=False)
    try:
        model.train()
        while not _fits(model, images, precision):
            release_memory(images.device)
            images = images[: (len(images) + 1) // 2]
    except Exception as e:  # the compiler's, its backends' and the C++ compiler's errors are of many kinds
        raise SpecError(
            "compile",
            f"torch.compile can't compile this model here: {type(e).__name__}: {first_line(e)}",
            instruction="Leave compile out. It needs a C++ compiler (g++ or clang++) on a CPU, and Triton on a GPU.",
        ) from e
    finally:
        model.zero_grad(set_to_none=True)
        model.load_state_dict(before)


def _fits(model: nn.Module, images: torch.Tensor, precision: Precision) -> bool:
    """Go forward and backward. False where memory has no room for so many images, but may have for fewer."""
    try:
        with autocast(images.device, precision):
            loss = model(images).float().square().mean()
        loss.backward()
    except Exception as e:
        if len(images) == 1 or not is_out_of_memory(e):
            raise
        return False
    return True
