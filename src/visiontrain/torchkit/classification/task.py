"""Classification of whole images, for `visiontrain.torchkit.training` and `visiontrain.torchkit.inference`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError
from visiontrain.hyperparameters.classification import ClassificationOptions
from visiontrain.hyperparameters.optimizers import Start
from visiontrain.protocol.inference import ImagePrediction, PredictParams
from visiontrain.torchkit.augmentation import augmentation
from visiontrain.torchkit.classification.export import ClassifierExport
from visiontrain.torchkit.classification.learner import Classifier
from visiontrain.torchkit.classification.multilabel import MultiLabelClassifier
from visiontrain.torchkit.data import EpochSampler, ImageBatch, LabelledImages
from visiontrain.torchkit.evaluating import ClassMap, SplitBatches
from visiontrain.torchkit.learning import BatchSource
from visiontrain.torchkit.loaders import make_loader
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.mixing import Mixer
from visiontrain.torchkit.predicting import Scorer, classify_images
from visiontrain.torchkit.sampling import balanced_weights
from visiontrain.torchkit.transforms import EvalTransform, Transform
from visiontrain.torchkit.vision_task import Evaluated, LoadedModel, Setup
from visiontrain.worker.context import EvaluateContext

__all__ = ["Classification"]

_Setup = Setup[ClassificationOptions]


class Classification:
    """Images with one class each, or with any number of them; a `visiontrain.torchkit.vision_task.VisionTask`."""

    def check(self, data: DatasetIndex, options: ClassificationOptions) -> None:
        """Two classes at least."""
        if len(data.classes) < 2:  # noqa: PLR2004
            raise DatasetError(f"a classifier needs two classes or more; the data has {len(data.classes)}")
        options.check_classes(data.classes, multi_label=data.multi_label)

    def metric(self, data: DatasetIndex, options: ClassificationOptions) -> str:
        """Accuracy, or the mean average precision of several labels, unless the options say another."""
        return options.metric(multi_label=data.multi_label)

    def learning_rates(self, setup: _Setup) -> Start | None:  # noqa: ARG002 - as `VisionTask` has it
        """The optimizer's are a classifier's."""
        return None

    def learner(self, setup: _Setup) -> Classifier:
        """With what the options make of labels."""
        options = setup.options
        return _learner(multi_label=setup.data.multi_label)(
            setup.built.model,
            setup.data.classes,
            setup.normalize,
            setup.device,
            label_smoothing=options.label_smoothing,
            mixer=_mixer(options),
            weights=_class_weights(setup.data, options),
        )

    def trial(self, setup: _Setup, images: int) -> ImageBatch:
        """Noise, and each class in turn."""
        generator = torch.Generator().manual_seed(setup.params.seed)
        pixels = torch.randint(
            256, (images, *setup.built.image.size, 3), dtype=torch.uint8, generator=generator
        )  # fmt: skip
        classes = len(setup.data.classes)
        if setup.data.multi_label:
            return ImageBatch(pixels, torch.zeros(images, classes))
        return ImageBatch(pixels, torch.arange(images) % classes)

    def loaders(self, setup: _Setup) -> tuple[BatchSource[ImageBatch], BatchSource[ImageBatch]]:
        """Changed at random for training, as they are for validation."""
        data, params, options = setup.data, setup.params, setup.options
        balance = data.labels("train") if options.balanced_sampling else None

        def loader(split: str, transform: Transform) -> BatchSource[ImageBatch]:
            dataset = LabelledImages(data, split, transform, params.seed)
            sampler = EpochSampler(
                data.splits[split],
                params.batch_size,
                params.seed,
                train=split == "train",
                balance=balance if split == "train" else None,
            )
            return make_loader(dataset, sampler, workers=setup.options.workers, device=setup.device)

        image = setup.built.image
        return loader("train", augmentation(options.augmentation, image)), loader("val", EvalTransform(image))

    def metadata(self, setup: _Setup) -> dict[str, Any]:  # noqa: ARG002 - as `VisionTask` has it
        """Nothing more."""
        return {}

    def use(self, loaded: LoadedModel) -> ClassifierInUse:
        """Probabilities."""
        return ClassifierInUse(loaded)

    def export(self, saved: SavedModel, reference: nn.Module, exportable: Callable[[], nn.Module]) -> ClassifierExport:
        """Normalised images to probabilities."""
        return ClassifierExport(saved, reference, exportable)


class ClassifierInUse:
    """A trained classifier."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._scorer = Scorer(
            loaded.model, loaded.normalize, loaded.device, loaded.precision, multi_label=loaded.saved.multi_label
        )

    def evaluated(self, context: EvaluateContext) -> Evaluated[ImageBatch]:
        """On the labels as they are."""
        params, loaded = context.params, self._loaded
        classes = ClassMap(context.dataset, loaded.saved)
        batches = SplitBatches(
            context.dataset,
            params.splits,
            EvalTransform(loaded.saved.image),
            batch_size=params.batch_size,
            workers=loaded.workers,
            device=loaded.device,
        )
        learner = _learner(multi_label=loaded.saved.multi_label)(
            loaded.model, loaded.saved.classes, loaded.normalize, loaded.device, label_smoothing=0.0
        )
        return Evaluated(learner, batches, classes)

    def predict(self, params: PredictParams) -> tuple[ImagePrediction, ...]:
        """Probabilities for each image."""
        return classify_images(
            params.images,
            EvalTransform(self._loaded.saved.image),
            self._scorer,
            batch_size=params.batch_size,
            threads=max(1, self._loaded.workers),
        )


def _learner(*, multi_label: bool) -> type[Classifier]:
    return MultiLabelClassifier if multi_label else Classifier


def _mixer(options: ClassificationOptions) -> Mixer | None:
    if options.mixup == 0 and options.cutmix == 0:
        return None
    probability = 1.0 if options.mix_probability is None else options.mix_probability
    return Mixer(mixup=options.mixup, cutmix=options.cutmix, probability=probability)


def _class_weights(data: DatasetIndex, options: ClassificationOptions) -> tuple[float, ...] | None:
    if options.class_weights == "none":
        return None
    if options.class_weights == "balanced":
        return balanced_weights(data.labels("train"), len(data.classes))
    given = options.weights_by_class() or {}
    return tuple(given.get(name, 1.0) for name in data.classes)
