"""One pass over splits of a dataset with a model that is trained: the numbers that its training would have given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import torch
from torch.utils.data import Dataset

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError
from visiontrain.protocol.inference import EvaluateResult
from visiontrain.torchkit.data import EpochLoader, EpochSampler, ImageBatch, LabelledImages, LoadedBatch
from visiontrain.torchkit.determinism import deterministic
from visiontrain.torchkit.fitting import Fitting
from visiontrain.torchkit.learning import Batch, Learner
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.shortage import release_memory
from visiontrain.torchkit.splitting import in_words
from visiontrain.torchkit.transforms import Transform
from visiontrain.worker.context import EvaluateContext

__all__ = [
    "Batches",
    "ClassMap",
    "EvaluateSettings",
    "SplitBatches",
    "SplitsInTurn",
    "class_targets",
    "evaluate",
    "require_images",
]

B = TypeVar("B", bound=Batch)
L = TypeVar("L", bound=LoadedBatch)
B_co = TypeVar("B_co", covariant=True)


class ClassMap:
    """From the data's class indices to those of a model, by name.

    Args:
        data: Whose classes may be fewer than the model's, and in another order.
        model: The trained one.

    Raises:
        DatasetError: the two don't fit: a class that the model does not know, or data of another kind.
    """

    def __init__(self, data: DatasetIndex, model: SavedModel) -> None:
        if data.multi_label != model.multi_label:
            kinds = {True: "any number of labels", False: "one class each"}
            raise DatasetError(
                f"the data's images have {kinds[data.multi_label]}, and {model.path} was trained on images that have "
                f"{kinds[model.multi_label]}",
                instruction="Evaluate it on data like what it was trained on.",
            )
        self._targets = torch.tensor(class_targets(data, model), dtype=torch.int64)
        self._classes = len(model.classes)

    def __call__(self, batch: ImageBatch) -> ImageBatch:
        """The batch with the model's class indices."""
        if batch.labels.dtype == torch.int64:
            return replace(batch, labels=self._targets[batch.labels])
        labels = torch.zeros(len(batch), self._classes)
        labels[:, self._targets] = batch.labels
        return replace(batch, labels=labels)


def class_targets(data: DatasetIndex, model: SavedModel) -> list[int]:
    """Of each of the data's classes the model's class index: names decide.

    Raises:
        DatasetError: the data has a class that the model does not know.
    """
    unknown = [name for name in data.classes if name not in model.classes]
    if unknown:
        raise DatasetError(
            f"the data has {_list(unknown)}, which {model.path} does not know",
            instruction=f"It knows {_list(model.classes)}. Name the data's classes likewise, or leave those out.",
        )
    return [model.classes.index(name) for name in data.classes]


def _list(names: Sequence[str], shown: int = 20) -> str:
    text = ", ".join(repr(name) for name in names[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"


def require_images(data: DatasetIndex, splits: Sequence[str]) -> None:
    """Refuse to evaluate on nothing.

    Raises:
        DatasetError: a split has no images; it says which ones have some.
    """
    for split in splits:
        if not data.splits.get(split):
            there = ", ".join(f"{name} ({count})" for name, count in data.splits.items() if count)
            raise DatasetError(f"the data has no images in its split {split}", instruction=f"It has {there}.")


class SplitsInTurn(Generic[L]):
    """Every image of some splits once, split by split in the order of their positions.

    Args:
        data: The dataset.
        splits: Names of those to take; each must have images.
        make: Gives a split's dataset, which makes a batch of a list of keys.
        batch_size: Images of a batch; the last one of a split may have fewer.
        workers: Loader processes.
        device: Where the batches will go.

    Raises:
        DatasetError: a split has no images.
    """

    def __init__(
        self,
        data: DatasetIndex,
        splits: Sequence[str],
        make: Callable[[str], Dataset[L]],
        *,
        batch_size: int,
        workers: int,
        device: torch.device,
    ) -> None:
        require_images(data, splits)
        self._make, self._workers, self._device = make, workers, device
        self._samplers = {s: EpochSampler(data.splits[s], batch_size, 0, train=False) for s in splits}
        self._images = sum(data.splits[split] for split in splits)

    @property
    def images(self) -> int:
        """How many images there are."""
        return self._images

    @property
    def batches(self) -> int:
        """How many there are; at least 1."""
        return sum(sampler.batches for sampler in self._samplers.values())

    def __iter__(self) -> Iterator[L]:
        """The batches.

        Raises:
            DatasetError: an image can't be read.
        """
        for split, sampler in self._samplers.items():
            workers = min(self._workers, sampler.batches)
            loader = EpochLoader(self._make(split), sampler, workers=workers, device=self._device)
            try:
                yield from loader.epoch(0)
            finally:
                loader.close()


class SplitBatches(SplitsInTurn[ImageBatch]):
    """Every labelled image of some splits once: as `SplitsInTurn`, with what makes pixels of an image."""

    def __init__(
        self,
        data: DatasetIndex,
        splits: Sequence[str],
        transform: Transform,
        *,
        batch_size: int,
        workers: int,
        device: torch.device,
    ) -> None:
        super().__init__(
            data,
            splits,
            lambda split: LabelledImages(data, split, transform, 0),
            batch_size=batch_size,
            workers=workers,
            device=device,
        )


@dataclass(frozen=True)
class EvaluateSettings:
    """What an evaluation shares with the training whose numbers it must give.

    Args:
        device: The model's.
        precision: Of the forward pass.
        epoch: The epoch that the weights are of, counted from 1.
    """

    device: torch.device
    precision: Precision
    epoch: int


class Batches(Protocol[B_co]):
    """What is evaluated on: `SplitBatches` or something of one's own."""

    @property
    def images(self) -> int:
        """How many there are in all."""
        ...

    @property
    def batches(self) -> int:
        """How many batches; at least 1."""
        ...

    def __iter__(self) -> Iterator[B_co]:
        """The batches."""
        ...


def evaluate(
    context: EvaluateContext,
    learner: Learner[B],
    batches: Batches[B],
    classes: Callable[[B], B],
    settings: EvaluateSettings,
) -> EvaluateResult:
    """Evaluate a model as validation does, and write what validation writes.

    Args:
        context: The run.
        learner: Its model is on its device and set to evaluation.
        batches: What to evaluate on.
        classes: From their classes to the model's.
        settings: How.

    Returns:
        The canonical metrics and ``images_per_second``, loading included. None of them where a stop came first.

    Raises:
        DatasetError: an image can't be read.
        RunFailedError: memory has no room for a single image.
    """
    learner.model.eval()
    fitting = Fitting(settings.device, "an evaluation")
    while True:
        began, images = time.perf_counter(), 0
        evaluation = learner.evaluation()
        context.progress("evaluate", step=0, steps=batches.batches)
        try:
            with deterministic(settings.device), torch.inference_mode(), autocast(settings.device, settings.precision):
                for done, batch in enumerate(batches, start=1):
                    if context.stop_requested:
                        return EvaluateResult("stopped")
                    images = len(batch)
                    for part in fitting.parts(images):
                        evaluation.update(classes(batch.part(part)))
                    context.progress("evaluate", step=done, steps=batches.batches)
                metrics = evaluation.compute()
        except Exception as error:
            if images == 0:
                raise
            fitting.shrink(error, images)
        else:
            break
        # A batch may have been counted in part: the pass begins anew.
        context.log(
            f"Out of memory at {images} images: beginning anew with {in_words(images, fitting.at_once)} at once.",
            level="warning",
        )
        del evaluation
        release_memory(settings.device)
    metrics["images_per_second"] = batches.images / (time.perf_counter() - began)
    for path, kind in evaluation.write_artifacts(context.artifacts_dir, epoch=settings.epoch):
        context.artifact(path, kind=kind)
    return EvaluateResult("completed", {**metrics})
