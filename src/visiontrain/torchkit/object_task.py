"""Detection and instance segmentation, for `visiontrain.torchkit.training` and `visiontrain.torchkit.inference`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError
from visiontrain.hyperparameters.detection import DetectionOptions
from visiontrain.hyperparameters.optimizers import Start
from visiontrain.protocol.inference import ImagePrediction, PredictParams
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import EpochSampler
from visiontrain.torchkit.evaluating import SplitsInTurn
from visiontrain.torchkit.learning import BatchSource
from visiontrain.torchkit.loaders import make_loader
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_batches import ObjectBatch
from visiontrain.torchkit.object_data import IndexedObjects, ObjectClasses
from visiontrain.torchkit.object_export import ObjectExport
from visiontrain.torchkit.object_learner import ObjectLearner
from visiontrain.torchkit.object_predicting import ObjectPredictor, find_in_images
from visiontrain.torchkit.object_transforms import ObjectTransform, WholeImages, object_augmentation
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.transforms import Normalize
from visiontrain.torchkit.vision_task import Evaluated, LoadedModel, Setup
from visiontrain.worker.context import EvaluateContext

__all__ = ["ObjectTask", "ObjectsInUse"]

_Setup = Setup[DetectionOptions]

#: Objects of an image at the most, in a prediction.
_LIMIT = 300


class ObjectTask(ABC):
    """Images with objects; a `visiontrain.torchkit.vision_task.VisionTask`. What a framework adds are three methods.

    Args:
        task: detect or segment.
    """

    def __init__(self, task: Task) -> None:
        self._task, self.masks = task, task is Task.segment

    @abstractmethod
    def make_learner(
        self, model: nn.Module, classes: tuple[str, ...], normalize: Normalize, device: torch.device
    ) -> ObjectLearner:
        """A model of the framework, on its device, as it is trained, evaluated and asked."""

    @abstractmethod
    def as_exported(self, model: nn.Module) -> nn.Module:
        """A model of the framework, in float32 on the CPU, with outputs as `ObjectExport` wants them."""

    @abstractmethod
    def learning_rates(self, setup: _Setup) -> Start | None:
        """See `visiontrain.torchkit.vision_task.VisionTask.learning_rates`."""

    def check(self, data: DatasetIndex, options: DetectionOptions) -> None:  # noqa: ARG002 - as `VisionTask` has it
        """Images with objects, and with their masks for the task segment."""
        if not data.has_objects or (self.masks and data.task != Task.segment):
            there = "masks of classes" if data.has_masks else "boxes" if data.has_objects else "labels"
            wanted = "objects with outlines or masks" if self.masks else "objects with boxes"
            raise DatasetError(
                f"the data's images have {there}, and the task {self._task} needs {wanted}",
                instruction="Give other data, or another task: --task.",
            )

    def metric(self, data: DatasetIndex, options: DetectionOptions) -> str:  # noqa: ARG002 - likewise
        """map50_95, unless the options say another."""
        return options.detection_metric(self._task)

    def learner(self, setup: _Setup) -> ObjectLearner:
        """The framework's."""
        return self.make_learner(setup.built.model, setup.data.classes, setup.normalize, setup.device)

    def trial(self, setup: _Setup, images: int) -> ObjectBatch:
        """Noise with as many objects in each image as the fullest one has: memory depends on them."""
        objects = max(len(image.objects) for image in setup.data.images("train"))
        return ObjectBatch.made_up(
            images,
            setup.built.image.size,
            objects=max(1, objects),
            classes=len(setup.data.classes),
            masks=self.masks,
            seed=setup.params.seed,
        )

    def loaders(self, setup: _Setup) -> tuple[BatchSource[ObjectBatch], BatchSource[ObjectBatch]]:
        """Changed at random for training, as they are for validation."""
        data, params, image = setup.data, setup.params, setup.built.image

        def loader(split: str, transform: ObjectTransform) -> BatchSource[ObjectBatch]:
            train = split == "train"
            dataset = IndexedObjects(data, split, transform, params.seed, masks=self.masks, train=train)
            sampler = EpochSampler(data.splits[split], params.batch_size, params.seed, train=train)
            return make_loader(dataset, sampler, workers=setup.options.workers, device=setup.device)

        changed = object_augmentation(setup.options.augmentation, image)
        return loader("train", changed), loader("val", WholeImages(Canvas(image)))

    def metadata(self, setup: _Setup) -> dict[str, Any]:  # noqa: ARG002 - likewise
        """Nothing more."""
        return {}

    def use(self, loaded: LoadedModel) -> ObjectsInUse:
        """Objects in pixels of the images."""
        learner = self.make_learner(loaded.model, loaded.saved.classes, loaded.normalize, loaded.device)
        return ObjectsInUse(loaded, learner, masks=self.masks)

    def export(self, saved: SavedModel, reference: nn.Module, exportable: Callable[[], nn.Module]) -> ObjectExport:
        """Normalised images to a row an object."""
        return ObjectExport(
            saved, self.as_exported(reference), lambda: self.as_exported(exportable()), masks=self.masks
        )


class ObjectsInUse:
    """A trained detector or instance segmenter.

    Args:
        loaded: Its model.
        learner: That model's.
        masks: Whether it finds masks.
    """

    def __init__(self, loaded: LoadedModel, learner: ObjectLearner, *, masks: bool) -> None:
        self._loaded, self._learner, self._masks = loaded, learner, masks
        self._predictor = ObjectPredictor(learner.say, Canvas(loaded.saved.image), loaded.device, loaded.precision)

    def evaluated(self, context: EvaluateContext) -> Evaluated[ObjectBatch]:
        """Each image as a whole."""
        params, data, loaded = context.params, context.dataset, self._loaded
        transform = WholeImages(Canvas(loaded.saved.image))
        batches = SplitsInTurn(
            data,
            params.splits,
            lambda split: IndexedObjects(data, split, transform, 0, masks=self._masks, train=False),
            batch_size=params.batch_size,
            workers=loaded.workers,
            device=loaded.device,
        )
        return Evaluated(self._learner, batches, ObjectClasses(data, loaded.saved))

    def predict(self, params: PredictParams) -> tuple[ImagePrediction, ...]:
        """The objects of each image, the best first."""
        return find_in_images(
            params.images,
            self._predictor,
            confidence=params.confidence,
            limit=_LIMIT,
            batch_size=params.batch_size,
            threads=max(1, self._loaded.workers),
        )
