"""Batches of images with masks of classes out of a dataset's index: the same ones, whoever loads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.data import Dataset

from visiontrain.datasets.index import DatasetIndex, Image
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import SampleKey
from visiontrain.torchkit.evaluating import class_targets
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_batches import SourceImage
from visiontrain.torchkit.randomness import kept_rng, seed_sample
from visiontrain.torchkit.semantic.batches import SemanticBatch, ignored_of, label_type
from visiontrain.torchkit.semantic.mask_files import MaskReader
from visiontrain.torchkit.semantic.transforms import SemanticTransform, seen_labels

__all__ = ["IndexedMasks", "SemanticClasses"]


class IndexedMasks(Dataset[SemanticBatch]):
    """A split of the index as batches; what a loader process holds.

    Args:
        index: The dataset; of the task semantic.
        split: train, val or test.
        transform: What makes of an image what the model sees; its random choices come from (seed, epoch, position)
            alone.
        seed: The run's.
        train: For training: without the masks at the images' own size, which an evaluation compares with.

    Raises:
        DatasetError: the index was made for another task.
    """

    def __init__(
        self, index: DatasetIndex, split: str, transform: SemanticTransform, seed: int, *, train: bool
    ) -> None:
        if index.pixel_classes is None:
            raise DatasetError(
                f"the data was read for the task {index.task}, and masks of classes are wanted",
                instruction=f"Read it for the task {Task.semantic}.",
            )
        self.index, self.split, self.transform, self.seed = index, split, transform, seed
        self._masks, self._train = MaskReader(index.pixel_classes), train

    def __getitem__(self, keys: Sequence[SampleKey]) -> SemanticBatch:
        """The batch of these samples."""
        made: list[SemanticBatch] = []
        try:
            with kept_rng():
                for epoch, position in keys:
                    seed_sample(self.seed, epoch, position)
                    made.append(self._sample(self.index.image(self.split, position)))
        except DatasetError as e:
            # As text: torch would wrap an exception in a traceback of the loader's process.
            return SemanticBatch.failed(str(e))
        truths = [each.truth for each in made if each.truth is not None]
        return SemanticBatch(
            torch.cat([each.pixels for each in made]),
            torch.cat([each.extents for each in made]),
            tuple(source for each in made for source in each.sources),
            torch.cat([each.labels for each in made]),
            self._masks.ignored,
            torch.cat(truths) if truths else None,
        )

    def _sample(self, image: Image) -> SemanticBatch:
        """An image with the classes of its pixels, as a batch of its own."""
        if image.mask is None:
            raise DatasetError(f"{image.path}: has no mask")
        size = image.width, image.height
        decoded = read_rgb(image.path, share=self.transform.decode_share(*size))
        view = self.transform.choose(*size)
        pixels = self.transform.paint(decoded, view, size)
        mask = self._masks.read(image.mask, *size)
        labels = seen_labels(mask, view, self.transform.canvas.config.size, self._masks.ignored)
        return SemanticBatch(
            torch.from_numpy(pixels)[None],
            torch.tensor([view.extent], dtype=torch.int64),
            (SourceImage(image.path, *size),),
            torch.from_numpy(labels)[None],
            self._masks.ignored,
            None if self._train else torch.from_numpy(mask.reshape(-1)),
        )


class SemanticClasses:
    """From the data's class indices to those of a model, by name.

    Args:
        data: Whose classes may be fewer than the model's, and in another order.
        model: The trained one.

    Raises:
        DatasetError: the data has a class that the model does not know.
    """

    def __init__(self, data: DatasetIndex, model: SavedModel) -> None:
        targets = class_targets(data, model)
        self._ignored = ignored_of(len(model.classes))
        before = ignored_of(len(data.classes))
        table = torch.full((before + 1,), self._ignored, dtype=label_type(self._ignored))
        table[: len(targets)] = torch.tensor(targets, dtype=table.dtype)
        self._table = table

    def __call__(self, batch: SemanticBatch) -> SemanticBatch:
        """The batch, on the CPU, with the model's class indices."""
        return batch.with_labels(lambda labels: self._table[labels.long()], self._ignored)
