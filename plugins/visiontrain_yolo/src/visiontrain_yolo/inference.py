"""A trained model in use: out of its checkpoint, onto a device, and its evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.objects import Skeleton
from visiontrain.errors import DatasetError, WeightsError
from visiontrain.protocol.inference import EvaluateParams, EvaluateResult
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import EpochLoader, default_workers
from visiontrain.torchkit.device import resolve_device
from visiontrain.torchkit.evaluating import (
    ClassMap,
    EvaluateSettings,
    SplitBatches,
    class_targets,
    evaluate,
    require_images,
)
from visiontrain.torchkit.loading import SavedModel, load_strictly, read_model
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.transforms import EvalTransform, ImageConfig
from visiontrain.worker.context import EvaluateContext
from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.build import build_model, stride_of
from visiontrain_yolo.classifying import ClassLearner
from visiontrain_yolo.contradictions import refuse_for_model
from visiontrain_yolo.dataset import IndexedObjects, ObjectBatches, shape_for
from visiontrain_yolo.heads import choose_head
from visiontrain_yolo.layout import place
from visiontrain_yolo.learner import ObjectLearner
from visiontrain_yolo.names import is_rtdetr
from visiontrain_yolo.options import YoloOptions
from visiontrain_yolo.settings import settings_of
from visiontrain_yolo.shapes import ShapeSampler

__all__ = ["FRAMEWORK", "evaluate_checkpoint", "image_config", "is_stretched", "learner_class", "load", "skeleton_of"]

FRAMEWORK = "yolo"

#: `ImageConfig`'s word for images whose both sides are resized.
_STRETCHED = "squash"


def image_config(image_size: int, *, stretch: bool) -> ImageConfig:
    """How Ultralytics' detectors want their images, as a checkpoint keeps it.

    Args:
        image_size: In pixels.
        stretch: Both sides are resized to it; else the longer one, and a border is added.
    """
    mode = _STRETCHED if stretch else "border"
    return ImageConfig(
        (image_size, image_size), (0.0,) * 3, (1.0,) * 3, interpolation="bilinear", crop_pct=1.0, crop_mode=mode
    )


def is_stretched(saved: SavedModel) -> bool:
    """Whether a detector wants both sides of its images resized."""
    return saved.image.crop_mode == _STRETCHED


def skeleton_of(saved: SavedModel) -> Skeleton | None:
    """What the keypoints of a model for poses are; of other models, None."""
    text = saved.metadata.get("skeleton") if saved.task == Task.pose else None
    return Skeleton.from_json(text) if text else None


def learner_class(name: str) -> type[ObjectLearner]:
    """What trains and evaluates a model of that name."""
    if is_rtdetr(name):
        from visiontrain_yolo.rtdetr_learner import RtDetrLearner

        return RtDetrLearner
    return ObjectLearner


def load(checkpoint: str, task: str) -> tuple[SavedModel, nn.Module]:
    """A checkpoint of ours and its model, in float32 on the CPU, set to evaluation.

    Raises:
        WeightsError: the file can't be read, or its model can't be built here.
    """
    saved = read_model(Path(checkpoint), framework=FRAMEWORK, task=task)
    skeleton = saved.metadata.get("skeleton")
    keypoints = len(Skeleton.from_json(skeleton).names) if skeleton else 0
    try:
        model = build_model(
            saved.model, saved.classes, head_classes=int(saved.metadata["head_classes"]), keypoints=keypoints
        )
    except (OSError, KeyError, AttributeError) as e:
        raise WeightsError(
            f"the model of {saved.path} can't be built: {e}",
            instruction="Use the environment's generation that the run was trained with.",
        ) from e
    load_strictly(model, saved)
    return saved, model


def evaluate_checkpoint(context: EvaluateContext) -> EvaluateResult:
    """What validation would have said of a checkpoint's model, on any splits.

    Raises:
        WeightsError: the checkpoint can't be used.
        DatasetError: the data has other objects than the model was trained on, or an image can't be read.
    """
    params, data = context.params, context.dataset
    options = YoloOptions.from_params(params.options)
    device = resolve_device(params.device)
    precision = resolve_precision(options.precision, device)
    workers = default_workers(device) if options.workers is None else options.workers
    saved, model = load(params.checkpoint, params.task)
    settings = EvaluateSettings(device, precision, saved.epoch)
    if params.task == Task.classify:
        classifier = ClassLearner(place(model, device), saved.classes, device)
        images = SplitBatches(
            data, params.splits, EvalTransform(saved.image), batch_size=params.batch_size, workers=workers,
            device=device,
        )  # fmt: skip
        return evaluate(context, classifier, images, ClassMap(data, saved), settings)
    refuse_for_model(options, saved.model)
    image_size, stretch = saved.image.size[0], is_stretched(saved)
    _check_skeleton(data, saved)
    built: Any = place(model, device)
    built.args = settings_of(options, task=params.task, epochs=1, image_size=image_size)
    weights = saved.metadata.get("class_weights")
    built.class_weights = None if weights is None else torch.tensor(weights, device=device)
    choose_head(model, nms=options.nms, max_det=options.max_det)
    learner = learner_class(saved.model)(
        model,
        saved.classes,
        device,
        task=params.task,
        image_size=image_size,
        stride=stride_of(model),
        multi_scale=0.0,
        seed=0,
        iou=options.iou,
        max_det=options.max_det,
        edges=() if data.skeleton is None else data.skeleton.edges,
    )
    batches = SplitObjects(data, params, image_size, stride_of(model), stretch=stretch, workers=workers, device=device)
    context.log(
        f"{saved.model}, epoch {saved.epoch}, on {batches.images} images of {', '.join(params.splits)}: {precision} on "
        f"{device}."
    )
    return evaluate(context, learner, batches, ObjectClasses(data, saved), settings)


class SplitObjects:
    """Every image of some splits once, split by split, those of one shape after the other.

    Args:
        data: The dataset.
        params: Which splits, and how many images at once.
        image_size: Of the longer side, in pixels.
        stride: The model's largest.
        stretch: Make both sides of an image as long.
        workers: Loader processes.
        device: Where the batches will go.

    Raises:
        DatasetError: a split has no images.
    """

    def __init__(
        self,
        data: DatasetIndex,
        params: EvaluateParams,
        image_size: int,
        stride: int,
        *,
        stretch: bool,
        workers: int,
        device: torch.device,
    ) -> None:
        require_images(data, params.splits)
        self._workers, self._device = workers, device
        self._parts = []
        for split in params.splits:
            task = Task(params.task)
            images = IndexedObjects(data, split, task, image_size=image_size, stride=stride, stretch=stretch)
            shapes = (shape_for(*size, image_size, stride, stretch=stretch) for size in data.sizes(split))
            self._parts.append((ObjectBatches(images), ShapeSampler(shapes, params.batch_size)))
        self.images = sum(data.splits[split] for split in params.splits)
        self.batches = sum(sampler.batches for _, sampler in self._parts)

    def __iter__(self) -> Iterator[ObjectBatch]:
        """The batches.

        Raises:
            DatasetError: an image can't be read.
        """
        for dataset, sampler in self._parts:
            loader = EpochLoader(dataset, sampler, workers=min(self._workers, sampler.batches), device=self._device)
            try:
                yield from loader.epoch(0)
            finally:
                loader.close()


class ObjectClasses:
    """From the data's class indices to those of a model, by name.

    Args:
        data: Whose classes may be fewer than the model's, and in another order.
        model: The trained one.

    Raises:
        DatasetError: the data has a class that the model does not know.
    """

    def __init__(self, data: DatasetIndex, model: SavedModel) -> None:
        targets = class_targets(data, model)
        # What is passed over has its class counted from the number of classes on.
        self._targets = torch.tensor([*targets, *(len(model.classes) + target for target in targets)]).float()

    def __call__(self, batch: ObjectBatch) -> ObjectBatch:
        """The batch with the model's class indices."""
        labels = self._targets[batch.values["cls"].long()]
        return ObjectBatch({**batch.values, "cls": labels}, batch.epoch, batch.first)


def _check_skeleton(data: DatasetIndex, saved: SavedModel) -> None:
    if saved.task != Task.pose:
        return
    trained = Skeleton.from_json(saved.metadata["skeleton"])
    names = None if data.skeleton is None else data.skeleton.names
    if names != trained.names:
        raise DatasetError(
            f"the data's keypoints are {', '.join(names or ('none',))}, and {saved.path} was trained on "
            f"{', '.join(trained.names)}",
            instruction="Evaluate it on data with the same keypoints.",
        )
