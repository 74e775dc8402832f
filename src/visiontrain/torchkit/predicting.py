"""What classifiers say of images: in batches, while the next images are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from visiontrain.protocol.inference import ClassifyPrediction, ImagePrediction, ImageSource
from visiontrain.torchkit.decoding import Decoded, decode_ahead
from visiontrain.torchkit.fitting import Fitting
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.shortage import release_memory
from visiontrain.torchkit.transforms import Normalize, Transform

__all__ = ["Scorer", "classify_images", "probabilities"]


def probabilities(logits: torch.Tensor, *, multi_label: bool) -> torch.Tensor:
    """Class scores (batch, classes) to probabilities, in float32: a sigmoid each where an image may have several."""
    return logits.float().sigmoid() if multi_label else logits.float().softmax(1)


class Scorer:
    """From pixels to probabilities.

    Args:
        model: On its device, set to evaluation; gives a row of class scores an image.
        normalize: Pixels to the model's input.
        device: The model's.
        precision: Of the forward pass.
        multi_label: Whether an image may have any number of classes.
    """

    def __init__(
        self, model: nn.Module, normalize: Normalize, device: torch.device, precision: Precision, *, multi_label: bool
    ) -> None:
        self._model, self._normalize, self._device = model, normalize, device
        self._precision, self._multi_label = precision, multi_label
        self._fitting = Fitting(device, "a prediction")

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (batch, height, width, 3) to float32 (batch, classes) on the CPU.

        Raises:
            RunFailedError: memory has no room for a single image.
        """
        while True:
            try:
                return torch.cat([self._compute(pixels[part]) for part in self._fitting.parts(len(pixels))])
            except Exception as error:  # noqa: BLE001 - told apart by what they say
                self._fitting.shrink(error, len(pixels))
            release_memory(self._device)

    def _compute(self, pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            with autocast(self._device, self._precision):
                logits = self._model(self._normalize(pixels.to(self._device)))
            return probabilities(logits, multi_label=self._multi_label).cpu()


class _Waiting(NamedTuple):
    number: int
    decoded: Decoded
    pixels: torch.Tensor


def classify_images(
    sources: Sequence[ImageSource],
    transform: Transform,
    scorer: Callable[[torch.Tensor], torch.Tensor],
    *,
    batch_size: int,
    threads: int,
) -> tuple[ImagePrediction, ...]:
    """A prediction for each image, in order; one that can't be read says why, and the others go on.

    Args:
        sources: The images.
        transform: What makes pixels of an image, all of one shape.
        scorer: Pixels (batch, height, width, 3) to probabilities (batch, classes).
        batch_size: Images computed at once, at the most.
        threads: Images decoded at once.
    """
    found: list[ImagePrediction] = []
    batch: list[_Waiting] = []

    def compute() -> None:
        rows = scorer(torch.stack([each.pixels for each in batch])).tolist()
        for each, row in zip(batch, rows, strict=True):
            prediction = ClassifyPrediction(tuple(row))
            found[each.number] = ImagePrediction(each.decoded.width, each.decoded.height, classify=prediction)
        batch.clear()

    for decoded in decode_ahead(sources, transform, threads=threads, ahead=batch_size + threads):
        found.append(ImagePrediction(error=decoded.error))
        if decoded.pixels is None:
            continue
        batch.append(_Waiting(len(found) - 1, decoded, decoded.pixels))
        if len(batch) == batch_size:
            compute()
    if batch:
        compute()
    return tuple(found)
