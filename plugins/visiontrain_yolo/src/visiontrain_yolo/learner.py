"""A detector as the training loop sees it: a loss and an evaluation."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from torch import nn
from torch.nn import functional
from ultralytics.utils.loss import E2ELoss

from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.float32 import in_float32
from visiontrain.torchkit.randomness import derive_seed
from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.evaluation import DetectionEvaluation
from visiontrain_yolo.heads import ends_in_rows
from visiontrain_yolo.layout import as_input
from visiontrain_yolo.oriented import OrientedEvaluation
from visiontrain_yolo.posing import PoseEvaluation
from visiontrain_yolo.segmenting import SegmentEvaluation

__all__ = ["LossParts", "ObjectLearner"]

#: Scalars on the device, by Ultralytics' names: box_loss, cls_loss...
LossParts = dict[str, torch.Tensor]

_EVALUATIONS: dict[str, type[DetectionEvaluation]] = {
    Task.detect: DetectionEvaluation,
    Task.segment: SegmentEvaluation,
    Task.pose: PoseEvaluation,
    Task.obb: OrientedEvaluation,
}

#: Tells the random sizes of batches from other random choices of the same seed.
_SIZES = 0x512E


class ObjectLearner:
    """A model of Ultralytics with its loss.

    A batch that memory has no room for is computed in parts whose losses are weighed by their images; each part's loss
    is scaled by its own objects, as that of a smaller batch is.

    Args:
        model: On its device; its ``args`` are the hyperparameters.
        classes: Class names by class index.
        device: The model's.
        task: What it is trained for.
        image_size: In pixels, a multiple of `stride`.
        stride: The model's largest.
        multi_scale: Largest change of the image size from batch to batch, as a share of it.
        seed: The run's.
        iou: How much two boxes of a class may overlap.
        max_det: Objects of an image at the most.
        edges: Pairs of keypoints that belong together, counted from 0; for pictures.
    """

    def __init__(
        self,
        model: nn.Module,
        classes: tuple[str, ...],
        device: torch.device,
        *,
        task: str,
        image_size: int,
        stride: int,
        multi_scale: float,
        seed: int,
        iou: float,
        max_det: int,
        edges: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self.model, self._classes, self._device, self._task = model, classes, device, task
        self._image_size, self._stride, self._multi_scale, self._seed = image_size, stride, multi_scale, seed
        self._iou, self._max_det, self._edges = iou, max_det, edges
        init: Any = model.init_criterion
        self._criterion: Any = init()
        self._trained: LossParts = {}

    def losses(self, batch: ObjectBatch, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """The batch's loss, the mean over its images, as `Learner` wants it."""
        self._weigh_heads(batch.epoch)
        images = len(batch)
        size = self._size_of(batch)
        self._trained = {}
        for part in parts:
            chosen = (batch if len(parts) == 1 else batch.part(part)).to(self._device)
            pixels = self._normalized(chosen)
            if size is not None:
                pixels = functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
            loss, made_of = self.loss(self.forward(pixels, chosen), chosen)
            for name, value in made_of.items():
                share = value * (len(chosen) / images)
                self._trained[name] = self._trained[name] + share if name in self._trained else share
            yield loss / images

    def forward(self, pixels: torch.Tensor, batch: ObjectBatch) -> Any:  # noqa: ARG002 - for models that learn with it
        """What the model says of a training batch, raw.

        Args:
            pixels: As the model takes them.
            batch: Whose objects are to be found.
        """
        return self.model(pixels)

    def predict(self, batch: ObjectBatch) -> tuple[Any, torch.Tensor, LossParts]:
        """What the model says of images, decoded, and their `loss`. The model is set to evaluation."""
        found, raw = self.model(self._normalized(batch))
        self._weigh_heads(None)
        return found, *self.loss(raw, batch)

    def loss(self, predictions: Any, batch: ObjectBatch) -> tuple[torch.Tensor, LossParts]:
        """The loss, its sum over images, and what it is made of, means over images; computed in float32."""
        with torch.autocast(self._device.type, enabled=False):
            total, made_of = self._criterion(in_float32(predictions), batch.values)
        return total.sum(), made_of

    @property
    def end_to_end(self) -> bool:
        """Whether the model gives a row an object, of which none are suppressed."""
        return ends_in_rows(self.model)

    def loss_parts(self) -> LossParts:
        """What the last training batch's loss is made of, as `TellsLosses` wants it: box_loss, cls_loss..."""
        return self._trained

    def evaluation(self) -> DetectionEvaluation:
        """Begin a pass over the validation split."""
        return _EVALUATIONS[self._task](
            self,
            self._classes,
            self._device,
            task=self._task,
            iou=self._iou,
            max_det=self._max_det,
            edges=self._edges,
        )

    def _normalized(self, batch: ObjectBatch) -> torch.Tensor:
        return as_input(batch.values["img"])

    def _size_of(self, batch: ObjectBatch) -> tuple[int, int] | None:
        """The size that a training batch is computed at where it is another one: a function of seed and batch."""
        if self._multi_scale == 0:
            return None
        generator = random.Random(derive_seed(self._seed, batch.epoch, batch.first, _SIZES))  # noqa: S311
        low = max(self._stride, int(self._image_size * (1 - self._multi_scale)))
        high = int(self._image_size * (1 + self._multi_scale)) + self._stride
        side = generator.randrange(low, high) // self._stride * self._stride
        return None if side == self._image_size else (side, side)

    def _weigh_heads(self, epoch: int | None) -> None:
        """Set what YOLO26's two heads count in the loss: a function of the epoch; None: as at the end."""
        if not isinstance(self._criterion, E2ELoss):
            return
        found = self._criterion.final_o2m if epoch is None else self._criterion.decay(epoch)
        self._criterion.o2m = found
        self._criterion.o2o = max(self._criterion.total - found, 0)
