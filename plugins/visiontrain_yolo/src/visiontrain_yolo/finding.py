"""From what a detector gives to objects in pixels of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from torch import nn
from ultralytics.utils.ops import xywhr2xyxyxyxy

from visiontrain.protocol.inference import (
    ImagePrediction,
    KeypointPrediction,
    MaskRuns,
    ObjectPrediction,
)
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.fitting import Fitting
from visiontrain.torchkit.mask_pixels import Axis, interpolated
from visiontrain.torchkit.mask_runs import mask_runs
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.predicting import Size
from visiontrain_yolo.evaluation import select
from visiontrain_yolo.heads import ends_in_rows
from visiontrain_yolo.layout import as_input
from visiontrain_yolo.letterbox import Letterbox, Placement

__all__ = ["Limits", "ObjectFinder", "objects_of"]


@dataclass(frozen=True)
class Limits:
    """What is told of what was found.

    Args:
        confidence: The least score, from 0 to 1.
        iou: How much two boxes of a class may overlap.
        max_det: Objects of an image at the most.
    """

    confidence: float
    iou: float
    max_det: int


class ObjectFinder:
    """Finds objects in batches of images that have one shape.

    Args:
        model: On its device, set to evaluation.
        letterbox: How the images were made to pixels.
        device: The model's.
        precision: Of the forward pass.
        task: detect, segment, pose or obb.
        classes: How many the model tells apart.
    """

    def __init__(
        self,
        model: nn.Module,
        letterbox: Letterbox,
        device: torch.device,
        precision: Precision,
        *,
        task: Task,
        classes: int,
    ) -> None:
        self._model, self._task, self._classes = model, task, classes
        self._letterbox, self._device, self._precision = letterbox, device, precision
        self._end_to_end = ends_in_rows(model)
        self._fitting = Fitting(device, "a prediction")

    def find(self, pixels: torch.Tensor, sizes: Sequence[Size], limits: Limits) -> list[ImagePrediction]:
        """The objects of each image.

        Args:
            pixels: uint8, (batch, height, width, 3).
            sizes: Of the images themselves.
            limits: What is told.

        Raises:
            RunFailedError: memory has no room for a single image.
        """
        parts = self._fitting.run(len(pixels), lambda part: self._find(pixels[part], sizes[part], limits))
        return [found for part in parts for found in part]

    def _find(self, pixels: torch.Tensor, sizes: Sequence[Size], limits: Limits) -> list[ImagePrediction]:
        with torch.inference_mode():
            images = as_input(pixels.to(self._device).permute(0, 3, 1, 2))
            with autocast(self._device, self._precision):
                found, _ = self._model(images)
            rows, prototypes = found if isinstance(found, tuple) else (found, None)
            boxes = select(
                rows,
                classes=self._classes,
                confidence=limits.confidence,
                iou=limits.iou,
                max_det=limits.max_det,
                rotated=self._task is Task.obb,
                end_to_end=self._end_to_end,
                every_class=False,
            )
            # A pixel of a prototype stands for so many of what the model sees.
            ratio = 1.0 if prototypes is None else images.shape[3] / prototypes.shape[3]
            return [
                ImagePrediction(
                    *size,
                    objects=objects_of(
                        self._task,
                        boxes[number],
                        self._letterbox.placement(*size),
                        prototypes=None if prototypes is None else prototypes[number],
                        ratio=ratio,
                    ),
                )
                for number, size in enumerate(sizes)
            ]


def objects_of(
    task: Task, rows: torch.Tensor, place: Placement, *, prototypes: torch.Tensor | None, ratio: float
) -> tuple[ObjectPrediction, ...]:
    """What was selected in an image, as objects of it. What lies wholly outside of the image is left out.

    Args:
        task: detect, segment, pose or obb.
        rows: Each of four numbers of the box, score, class, and what follows; in pixels of what the model saw.
        place: Where the image lies in that.
        prototypes: Of masks, (coefficients, height, width).
        ratio: Pixels of what the model saw for one of a prototype.
    """
    quads: torch.Tensor | None = None
    points: list[Any] | None = None
    if task is Task.obb:
        turn: Any = xywhr2xyxyxyxy
        quads = place.to_image(turn(torch.cat([rows[:, :4], rows[:, 6:7]], dim=1)))
        corners = torch.stack([quads.amin(1), quads.amax(1)], dim=1)
    else:
        corners = place.to_image(rows[:, :4].reshape(-1, 2, 2))
    corners = place.clipped(corners)
    inside = (corners[:, 1] > corners[:, 0]).all(1)
    rows, corners = rows[inside], corners[inside]
    if task is Task.pose:
        raw = rows[:, 6:].reshape(len(rows), (rows.shape[1] - 6) // 3, 3)
        points = torch.cat([place.clipped(place.to_image(raw[..., :2])), raw[..., 2:]], dim=2).tolist()
    boxes: list[Any] = corners.flatten(1).tolist()
    masks: list[MaskRuns | None] = [None] * len(rows)
    if prototypes is not None and len(rows):
        logits = torch.einsum("nc,chw->nhw", rows[:, 6:], prototypes.float())
        masks = [_mask(logit, box, place, ratio) for logit, box in zip(logits, boxes, strict=True)]
    turned: list[Any] = [None] * len(rows) if quads is None else quads[inside].flatten(1).tolist()
    labels, scores = rows[:, 5].int().tolist(), rows[:, 4].tolist()
    return tuple(
        ObjectPrediction(
            labels[number],
            scores[number],
            tuple(boxes[number]),
            masks[number],
            () if points is None else tuple(KeypointPrediction(*point) for point in points[number]),
            None if turned[number] is None else tuple(turned[number]),
        )
        for number in range(len(rows))
    )


def _mask(logits: torch.Tensor, box: Sequence[float], place: Placement, ratio: float) -> MaskRuns:
    """The pixels of the image whose middle lies in the box, and where the object is more probable than not.

    Args:
        logits: (height, width), of prototypes' pixels.
        box: In pixels of the image.
        place: Where the image lies in what the model saw.
        ratio: Pixels of that for one of a prototype.
    """
    first, last = ([math.ceil(side - 0.5) for side in box[at : at + 2]] for at in (0, 2))
    columns, rows = range(first[0], last[0]), range(first[1], last[1])
    down, across = (
        Axis(cells, offset / ratio, scale / ratio)
        for cells, offset, scale in zip(logits.shape, place.first[::-1], place.scale[::-1], strict=True)
    )
    values = interpolated(logits, rows, columns, down=down, across=across)
    width, height = place.image
    return mask_runs((values > 0).cpu().numpy(), left=first[0], top=first[1], width=width, height=height)
