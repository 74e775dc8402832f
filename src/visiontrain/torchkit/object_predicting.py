"""What detectors and instance segmenters say of images, in pixels of the images themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch

from visiontrain.protocol.inference import ImagePrediction, ImageSource, ObjectPrediction
from visiontrain.torchkit.fitting import Fitting
from visiontrain.torchkit.object_found import FoundObjects, Frame, PlacedObjects, place_found
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.predicting import Size, predict_images

__all__ = ["Find", "ObjectPredictor", "find_in_images", "objects_of"]

#: Pixels of the canvas, uint8 (batch, height, width, 3), and the images' extents on it, int64 (batch, 2) of height and
#: width, both on the model's device, to what is found in each image.
Find = Callable[[torch.Tensor, torch.Tensor], Iterable[FoundObjects]]


class ObjectPredictor:
    """From pixels of the canvas to objects of the images. What a plugin keeps between requests.

    Args:
        find: The model, on its device and set to evaluation, with what comes before and after it.
        canvas: That the images are laid on.
        device: The model's.
        precision: Of the forward pass.
    """

    def __init__(self, find: Find, canvas: Canvas, device: torch.device, precision: Precision) -> None:
        self.canvas = canvas
        self._find, self._device, self._precision = find, device, precision
        self._fitting = Fitting(device, "a prediction")

    def predict(
        self, pixels: torch.Tensor, sizes: Sequence[Size], *, confidence: float, limit: int
    ) -> list[ImagePrediction]:
        """The objects of each image.

        Args:
            pixels: uint8, (batch, height, width, 3).
            sizes: Of the images themselves.
            confidence: The least score, from 0 to 1.
            limit: Objects of an image at the most.

        Raises:
            RunFailedError: memory has no room for a single image.
        """

        def compute(part: slice) -> list[ImagePrediction]:
            placed = self._placed(pixels[part], sizes[part], confidence, limit)
            return [
                ImagePrediction(*size, objects=objects_of(each)) for size, each in zip(sizes[part], placed, strict=True)
            ]

        return [found for part in self._fitting.run(len(pixels), compute) for found in part]

    def _placed(
        self, pixels: torch.Tensor, sizes: Sequence[Size], confidence: float, limit: int
    ) -> list[PlacedObjects]:
        extents = [self.canvas.extent(*size) for size in sizes]
        with torch.inference_mode():
            with autocast(self._device, self._precision):
                found = self._find(pixels.to(self._device), torch.tensor(extents, device=self._device))
            tall, wide = self.canvas.config.size
            frames = [
                Frame(*size, (width / wide, height / tall))
                for size, (height, width) in zip(sizes, extents, strict=True)
            ]
            return [
                place_found(each, frame, confidence=confidence, limit=limit)
                for each, frame in zip(found, frames, strict=True)
            ]


def objects_of(placed: PlacedObjects) -> tuple[ObjectPrediction, ...]:
    """As they are answered, the best first."""
    masks = placed.masks or (None,) * len(placed)
    rows = zip(placed.labels.tolist(), placed.scores.tolist(), placed.boxes.tolist(), masks, strict=True)
    return tuple(ObjectPrediction(label, score, tuple(box), mask) for label, score, box, mask in rows)


def find_in_images(
    sources: Sequence[ImageSource],
    predictor: ObjectPredictor,
    *,
    confidence: float,
    limit: int,
    batch_size: int,
    threads: int,
) -> tuple[ImagePrediction, ...]:
    """The objects of each image, in order; one that can't be read says why, and the others go on.

    Args:
        sources: The images.
        predictor: What finds them.
        confidence: The least score, from 0 to 1.
        limit: Objects of an image at the most.
        batch_size: Images computed at once, at the most.
        threads: Images decoded at once.

    Raises:
        RunFailedError: memory has no room for a single image.
    """

    def compute(pixels: torch.Tensor, sizes: Sequence[Size]) -> list[ImagePrediction]:
        return predictor.predict(pixels, sizes, confidence=confidence, limit=limit)

    return predict_images(sources, predictor.canvas, compute, batch_size=batch_size, threads=threads)
