"""The class of each pixel, for `visiontrain.torchkit.training` and `visiontrain.torchkit.inference`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError
from visiontrain.hyperparameters.optimizers import Start
from visiontrain.hyperparameters.semantic import SemanticOptions
from visiontrain.protocol.inference import ImagePrediction, PredictParams
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import EpochSampler
from visiontrain.torchkit.evaluating import SplitsInTurn
from visiontrain.torchkit.learning import BatchSource
from visiontrain.torchkit.loaders import make_loader
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.semantic.batches import SemanticBatch
from visiontrain.torchkit.semantic.class_weights import pixel_weights
from visiontrain.torchkit.semantic.data import IndexedMasks, SemanticClasses
from visiontrain.torchkit.semantic.export import SemanticExport
from visiontrain.torchkit.semantic.learner import SemanticLearner
from visiontrain.torchkit.semantic.predicting import SemanticPredictor, map_images
from visiontrain.torchkit.semantic.transforms import WholeViews, semantic_augmentation
from visiontrain.torchkit.transforms import Normalize
from visiontrain.torchkit.vision_task import Evaluated, LoadedModel, Setup
from visiontrain.worker.context import EvaluateContext

__all__ = ["SemanticInUse", "SemanticSegmentation"]

_Setup = Setup[SemanticOptions]


class SemanticSegmentation:
    """Images with a mask each that says what class each pixel is of; a `visiontrain.torchkit.vision_task.VisionTask`.

    Its models give maps of class scores of normalised images, (batch, classes, rows, columns), in any resolution. What
    learns by another loss than cross entropy overrides `learner_of`.
    """

    def learner_of(
        self,
        model: nn.Module,
        classes: tuple[str, ...],
        normalize: Normalize,
        device: torch.device,
        weights: Sequence[float] | None = None,
    ) -> SemanticLearner:
        """What a model is trained and evaluated with.

        Args:
            model: On its device.
            classes: Class names by class index.
            normalize: Pixels to the model's input.
            device: The model's.
            weights: What a pixel counts in the training loss, by class index. None: all the same.
        """
        return SemanticLearner(model, classes, normalize, device, weights=weights)

    def check(self, data: DatasetIndex, options: SemanticOptions) -> None:
        """Masks, and two classes at least."""
        if not data.has_masks:
            raise DatasetError(
                f"the data was read for the task {data.task}, and masks of classes are wanted",
                instruction=f"Read it for the task {Task.semantic}.",
            )
        if len(data.classes) < 2:  # noqa: PLR2004
            raise DatasetError(f"classes of pixels are two or more; the data has {len(data.classes)}")
        options.check_weighted_classes(data.classes)

    def metric(self, data: DatasetIndex, options: SemanticOptions) -> str:  # noqa: ARG002 - as `VisionTask` has it
        """``miou``, unless the options say another."""
        return options.semantic_metric()

    def learning_rates(self, setup: _Setup) -> Start | None:  # noqa: ARG002 - as `VisionTask` has it
        """The optimizer's."""
        return None

    def learner(self, setup: _Setup) -> SemanticLearner:
        """With what the options make of classes."""
        data, options = setup.data, setup.options
        weights = pixel_weights(data, options.class_weights, options.weights_by_class())
        return self.learner_of(setup.built.model, data.classes, setup.normalize, setup.device, weights)

    def trial(self, setup: _Setup, images: int) -> SemanticBatch:
        """Noise."""
        return SemanticBatch.made_up(
            images, setup.built.image.size, classes=len(setup.data.classes), seed=setup.params.seed
        )

    def loaders(self, setup: _Setup) -> tuple[BatchSource[SemanticBatch], BatchSource[SemanticBatch]]:
        """Changed at random for training, as they are for validation."""
        data, params, image = setup.data, setup.params, setup.built.image
        transforms = {
            "train": semantic_augmentation(setup.options.augmentation, image),
            "val": WholeViews(Canvas(image)),
        }

        def loader(split: str) -> BatchSource[SemanticBatch]:
            train = split == "train"
            dataset = IndexedMasks(data, split, transforms[split], params.seed, train=train)
            sampler = EpochSampler(data.splits[split], params.batch_size, params.seed, train=train)
            return make_loader(dataset, sampler, workers=setup.options.workers, device=setup.device)

        return loader("train"), loader("val")

    def metadata(self, setup: _Setup) -> dict[str, Any]:  # noqa: ARG002 - as `VisionTask` has it
        """Nothing more."""
        return {}

    def use(self, loaded: LoadedModel) -> SemanticInUse:
        """Class maps."""
        return SemanticInUse(self, loaded)

    def export(self, saved: SavedModel, reference: nn.Module, exportable: Callable[[], nn.Module]) -> SemanticExport:
        """Normalised images to maps of class scores."""
        return SemanticExport(saved, reference, exportable)


class SemanticInUse:
    """A trained model.

    Args:
        task: Whose it is.
        loaded: The model.
    """

    def __init__(self, task: SemanticSegmentation, loaded: LoadedModel) -> None:
        self._task, self._loaded = task, loaded

        def score(pixels: torch.Tensor, _extents: torch.Tensor) -> torch.Tensor:
            maps: torch.Tensor = loaded.model(loaded.normalize(pixels))
            return maps

        self._canvas = Canvas(loaded.saved.image)
        self._predictor = SemanticPredictor(score, self._canvas, loaded.device, loaded.precision)

    def evaluated(self, context: EvaluateContext) -> Evaluated[SemanticBatch]:
        """On all pixels of the images that are of a class."""
        params, loaded, data = context.params, self._loaded, context.dataset
        classes = SemanticClasses(data, loaded.saved)

        def make(split: str) -> IndexedMasks:
            return IndexedMasks(data, split, WholeViews(self._canvas), 0, train=False)

        batches = SplitsInTurn(
            data, params.splits, make, batch_size=params.batch_size, workers=loaded.workers, device=loaded.device
        )
        learner = self._task.learner_of(loaded.model, loaded.saved.classes, loaded.normalize, loaded.device)
        return Evaluated(learner, batches, classes)

    def predict(self, params: PredictParams) -> tuple[ImagePrediction, ...]:
        """The class of each pixel of each image."""
        return map_images(
            params.images, self._predictor, batch_size=params.batch_size, threads=max(1, self._loaded.workers)
        )
