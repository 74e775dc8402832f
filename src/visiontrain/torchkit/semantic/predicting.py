"""What class each pixel of an image is of, at the size of the image itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from visiontrain.protocol.inference import ClassMapPrediction, ImagePrediction, ImageSource
from visiontrain.torchkit.fitting import Fitting
from visiontrain.torchkit.object_found import Frame
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.predicting import Size, predict_images
from visiontrain.torchkit.semantic.placing import class_pixels
from visiontrain.worker.class_maps import class_map

__all__ = ["Score", "SemanticPredictor", "map_images"]

#: Pixels of the canvas, uint8 (batch, height, width, 3), and the images' extents on it, int64 (batch, 2) of height and
#: width, both on the model's device, to maps of class scores over the canvas, (batch, classes, rows, columns).
Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_BYTE = 256  # class indices


class SemanticPredictor:
    """From pixels of the canvas to class maps of the images. What a plugin keeps between requests.

    Args:
        score: The model, on its device and set to evaluation, with what comes before and after it.
        canvas: That the images are laid on.
        device: The model's.
        precision: Of the forward pass.
    """

    def __init__(self, score: Score, canvas: Canvas, device: torch.device, precision: Precision) -> None:
        self.canvas = canvas
        self._score, self._device, self._precision = score, device, precision
        self._fitting = Fitting(device, "a prediction")

    def predict(self, pixels: torch.Tensor, sizes: Sequence[Size]) -> list[ImagePrediction]:
        """The class map of each image, of the image's size.

        Args:
            pixels: uint8, (batch, height, width, 3).
            sizes: Of the images themselves.

        Raises:
            RunFailedError: memory has no room for a single image.
        """

        def compute(part: slice) -> list[ImagePrediction]:
            return self._predict(pixels[part], sizes[part])

        return [found for part in self._fitting.run(len(pixels), compute) for found in part]

    def _predict(self, pixels: torch.Tensor, sizes: Sequence[Size]) -> list[ImagePrediction]:
        extents = [self.canvas.extent(*size) for size in sizes]
        tall, wide = self.canvas.config.size
        with torch.inference_mode():
            with autocast(self._device, self._precision):
                maps = self._score(pixels.to(self._device), torch.tensor(extents, device=self._device))
            frames = [
                Frame(*size, (width / wide, height / tall))
                for size, (height, width) in zip(sizes, extents, strict=True)
            ]
            return [
                ImagePrediction(*size, class_map=_map(class_pixels(each, frame), classes=maps.shape[1]))
                for size, each, frame in zip(sizes, maps, frames, strict=True)
            ]


def _map(labels: torch.Tensor, *, classes: int) -> ClassMapPrediction:
    height, width = labels.shape
    kind, bits = (np.uint8, 8) if classes <= _BYTE else (np.uint16, 16)
    return class_map(width, height, labels.numpy().astype(kind).tobytes(), bits=bits)


def map_images(
    sources: Sequence[ImageSource], predictor: SemanticPredictor, *, batch_size: int, threads: int
) -> tuple[ImagePrediction, ...]:
    """The class map of each image, in order; one that can't be read says why, and the others go on.

    Args:
        sources: The images.
        predictor: What makes them.
        batch_size: Images computed at once, at the most.
        threads: Images decoded at once.

    Raises:
        RunFailedError: memory has no room for a single image.
    """
    return predict_images(sources, predictor.canvas, predictor.predict, batch_size=batch_size, threads=threads)
