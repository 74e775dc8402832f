"""Whether a model computes images of a size, and sees all of them."""

from __future__ import annotations

import torch
from torch import nn

from visiontrain.errors import SpecError
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.kinds import HfModel

__all__ = ["compute_one"]


def compute_one(model: HfModel, name: str, images: ImageConfig, *, size_given: bool) -> None:
    """Compute one image: the errors of an image size come now, not after the data has been loaded.

    Args:
        model: On the CPU; is then set to evaluation.
        name: What the person calls it.
        images: How it is shown its images.
        size_given: The person asked for that size.

    Raises:
        SpecError: it can't compute such images, or would not see all of them.
    """
    step = _patch(model) if size_given else None  # what is published does as it did in its own training
    if step is not None and any(side % step for side in images.size):
        raise SpecError(
            "image_size",
            f"must be a multiple of {step} for {name}, not {images.size[0]} x {images.size[1]}: pixels beyond the last "
            "whole patch would never be seen",
        )
    model.eval()
    try:
        # Not in inference mode: BEiT keeps what it then makes, and training could not use it.
        with torch.no_grad():
            model.try_out(torch.zeros(1, 3, *images.size))
    except (
        RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError, TypeError, AttributeError, KeyError,
    ) as e:  # fmt: skip
        reason = f"{name} can't compute images of {images.size[0]} x {images.size[1]} pixels: {e}"
        if size_given:
            instruction = "Leave --image-size out: the model's own size is then taken."
            raise SpecError("image_size", reason, instruction=instruction) from e
        raise SpecError("model", reason, instruction="Give another size, --image-size, or another model.") from e


def _patch(model: HfModel) -> int | None:
    """The side in pixels of a vision transformer's patches, where it cuts images without padding them first."""
    if not any("position" in name for name, _ in model.named_parameters()):
        return None
    for name, part in model.named_modules():
        if isinstance(part, nn.Conv2d):  # the first one
            around = model.get_submodule(name.rpartition(".")[0])
            whole = part.kernel_size == part.stride and not any(part.padding) and not hasattr(around, "maybe_pad")
            return part.stride[0] if whole else None
    return None
