"""What models say of images: in batches, while the next images are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from visiontrain.protocol.inference import ClassifyPrediction, ImagePrediction, ImageSource
from visiontrain.torchkit.decoding import Decoded, decode_ahead
from visiontrain.torchkit.fitting import Fitting
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.transforms import Normalize, Transform

__all__ = ["Compute", "Scorer", "Size", "classify_images", "predict_images", "probabilities"]

#: Width and height of an image in pixels, as it is shown.
Size = tuple[int, int]

#: Pixels, uint8 (batch, height, width, 3), and each image's size to a prediction each.
Compute = Callable[[torch.Tensor, Sequence[Size]], Sequence[ImagePrediction]]

#: How many batches of images may wait for others of their shape.
_WAITING = 4


class _Waiting(NamedTuple):
    number: int
    decoded: Decoded
    pixels: torch.Tensor


def predict_images(
    sources: Sequence[ImageSource], transform: Transform, compute: Compute, *, batch_size: int, threads: int
) -> tuple[ImagePrediction, ...]:
    """A prediction for each image, in order; one that can't be read says why, and the others go on.

    Args:
        sources: The images.
        transform: What makes pixels of an image; those of one shape are computed together.
        compute: What makes predictions of pixels.
        batch_size: Images computed at once, at the most.
        threads: Images decoded at once.
    """
    found: list[ImagePrediction] = []
    waiting: dict[tuple[int, ...], list[_Waiting]] = {}

    def finish(shape: tuple[int, ...]) -> None:
        batch = waiting.pop(shape)
        sizes = [(each.decoded.width, each.decoded.height) for each in batch]
        predictions = compute(torch.stack([each.pixels for each in batch]), sizes)
        for each, prediction in zip(batch, predictions, strict=True):
            found[each.number] = prediction

    for decoded in decode_ahead(sources, transform, threads=threads, ahead=batch_size + threads):
        found.append(ImagePrediction(error=decoded.error))
        if decoded.pixels is None:
            continue
        shape = tuple(decoded.pixels.shape)
        waiting.setdefault(shape, []).append(_Waiting(len(found) - 1, decoded, decoded.pixels))
        if len(waiting[shape]) == batch_size:
            finish(shape)
        elif sum(map(len, waiting.values())) == _WAITING * batch_size:
            finish(max(waiting, key=lambda key: len(waiting[key])))
    for shape in list(waiting):
        finish(shape)
    return tuple(found)


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
        return torch.cat(self._fitting.run(len(pixels), lambda part: self._compute(pixels[part])))

    def _compute(self, pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            with autocast(self._device, self._precision):
                logits = self._model(self._normalize(pixels.to(self._device)))
            return probabilities(logits, multi_label=self._multi_label).cpu()


def classify_images(
    sources: Sequence[ImageSource],
    transform: Transform,
    scorer: Callable[[torch.Tensor], torch.Tensor],
    *,
    batch_size: int,
    threads: int,
) -> tuple[ImagePrediction, ...]:
    """Probabilities for each image, in order, as `predict_images` has it.

    Args:
        sources: The images.
        transform: What makes pixels of an image, all of one shape.
        scorer: Pixels (batch, height, width, 3) to probabilities (batch, classes).
        batch_size: Images computed at once, at the most.
        threads: Images decoded at once.
    """

    def compute(pixels: torch.Tensor, sizes: Sequence[Size]) -> list[ImagePrediction]:
        rows = scorer(pixels).tolist()
        return [
            ImagePrediction(*size, classify=ClassifyPrediction(tuple(row)))
            for size, row in zip(sizes, rows, strict=True)
        ]

    return predict_images(sources, transform, compute, batch_size=batch_size, threads=threads)
