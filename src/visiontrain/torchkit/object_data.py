"""Batches of images with objects out of a dataset's index: the same ones, in the same order, whoever loads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset
from torchvision.ops import masks_to_boxes  # type: ignore[import-untyped]

from visiontrain.datasets.index import DatasetIndex, Image
from visiontrain.datasets.objects import Object
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import SampleKey
from visiontrain.torchkit.evaluating import class_targets
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_batches import ObjectBatch, ObjectRows, SourceImage
from visiontrain.torchkit.object_transforms import ObjectTransform
from visiontrain.torchkit.object_views import Floats, View, corners_to_centres
from visiontrain.torchkit.randomness import kept_rng, seed_sample

__all__ = ["IndexedObjects", "ObjectClasses"]


class IndexedObjects(Dataset[ObjectBatch]):
    """A split of the index as batches; what a loader process holds.

    Args:
        index: The dataset; of the task detect or segment.
        split: train, val or test.
        transform: What makes of an image what the model sees; its random choices come from (seed, epoch, position)
            alone.
        seed: The run's.
        masks: Give the objects' masks, too: for the task segment. Needs pycocotools.
        train: For training: without the objects that an evaluation passes over, and without those of which less than a
            pixel is seen, or none of the mask. Boxes are then those around the masks, where there are masks.

    Raises:
        DatasetError: the index was made for another task.
    """

    def __init__(
        self, index: DatasetIndex, split: str, transform: ObjectTransform, seed: int, *, masks: bool, train: bool
    ) -> None:
        if not index.has_objects or (masks and index.task != Task.segment):
            raise DatasetError(
                f"the data was read for the task {index.task}, and objects{' with masks' if masks else ''} are wanted",
                instruction=f"Read it for the task {Task.segment if masks else Task.detect}.",
            )
        self.index, self.split, self.transform, self.seed = index, split, transform, seed
        self._masks, self._train = masks, train

    def __getitem__(self, keys: Sequence[SampleKey]) -> ObjectBatch:
        """The batch of these samples."""
        made: list[ObjectBatch] = []
        try:
            with kept_rng():
                for epoch, position in keys:
                    seed_sample(self.seed, epoch, position)
                    made.append(self._sample(self.index.image(self.split, position)))
        except DatasetError as e:
            # As text: torch would wrap an exception in a traceback of the loader's process.
            return ObjectBatch.failed(str(e))
        return ObjectBatch(
            torch.cat([each.pixels for each in made]),
            torch.cat([each.extents for each in made]),
            tuple(source for each in made for source in each.sources),
            ObjectRows.joined([each.objects for each in made]),
            ObjectRows.joined([each.passed_over for each in made]),
        )

    def _sample(self, image: Image) -> ObjectBatch:
        """An image with its objects, as a batch of its own."""
        size = image.width, image.height
        counted = [found for found in image.objects if not found.ignored]
        others = [] if self._train else [found for found in image.objects if found.ignored]
        decoded = read_rgb(image.path, share=self.transform.decode_share(*size))
        chosen = self.transform.choose(*size, _boxes_of(counted))
        kept = [found for found, wanted in zip(counted, chosen.kept, strict=True) if wanted]
        return ObjectBatch(
            torch.from_numpy(self.transform.paint(decoded, chosen.view, size))[None],
            torch.tensor([chosen.view.extent], dtype=torch.int64),
            (SourceImage(image.path, *size),),
            self._rows(kept, chosen.view),
            self._rows(others, chosen.view),
        )

    def _rows(self, objects: Sequence[Object], view: View) -> ObjectRows:
        boxes = view.boxes(_boxes_of(objects))
        masks = None
        if self._masks:
            from visiontrain.torchkit.object_masks import masks_in

            masks = masks_in(objects, view, self.transform.canvas.config.size)
        labels = torch.tensor([found.label for found in objects], dtype=torch.int64)
        if not self._train:
            return _made(labels, boxes, masks)
        tall, wide = view.extent
        seen = torch.from_numpy(((boxes[:, 2:] - boxes[:, :2]) * (wide, tall) >= 1).all(1))
        if masks is None:
            return _made(labels[seen], boxes[seen.numpy()], None)
        seen &= masks.flatten(1).any(1)
        return _made(labels[seen], _around(masks[seen], view), masks[seen])


def _made(labels: torch.Tensor, boxes: Floats, masks: torch.Tensor | None) -> ObjectRows:
    return ObjectRows((len(labels),), labels, torch.from_numpy(corners_to_centres(boxes)).float(), masks)


def _around(masks: torch.Tensor, view: View) -> Floats:
    """Around the pixels that are seen: what is left of an object's box would be too large where a part is cut away."""
    tall, wide = view.extent
    found: Floats = masks_to_boxes(masks).double().numpy()
    found[:, 2:] += 1  # the last pixels are inside
    found /= (wide, tall, wide, tall)
    return found


def _boxes_of(objects: Sequence[Object]) -> Floats:
    return np.array([found.box for found in objects], dtype=np.float64).reshape(-1, 4)


class ObjectClasses:
    """From the data's class indices to those of a model, by name.

    Args:
        data: Whose classes may be fewer than the model's, and in another order.
        model: The trained one.

    Raises:
        DatasetError: the data has a class that the model does not know.
    """

    def __init__(self, data: DatasetIndex, model: SavedModel) -> None:
        self._targets = torch.tensor(class_targets(data, model), dtype=torch.int64)

    def __call__(self, batch: ObjectBatch) -> ObjectBatch:
        """The batch, on the CPU, with the model's class indices."""
        return replace(batch, objects=self._renamed(batch.objects), passed_over=self._renamed(batch.passed_over))

    def _renamed(self, objects: ObjectRows) -> ObjectRows:
        return replace(objects, labels=self._targets[objects.labels])
