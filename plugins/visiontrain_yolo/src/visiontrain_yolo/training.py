"""What of a run depends on its task: the learner, and where its batches come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.protocol.messages import TrainParams
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import EpochSampler, LabelledImages
from visiontrain.torchkit.learning import BatchSource, Learner
from visiontrain.torchkit.loaders import make_loader
from visiontrain.torchkit.transforms import EvalTransform, ImageConfig, Transform
from visiontrain_yolo.build import stride_of
from visiontrain_yolo.class_weights import class_weights
from visiontrain_yolo.classifying import ClassLearner, TrainingImages, class_image_config
from visiontrain_yolo.dataset import IndexedObjects, ObjectBatches, shape_for
from visiontrain_yolo.heads import choose_head
from visiontrain_yolo.inference import image_config, learner_class
from visiontrain_yolo.names import is_rtdetr
from visiontrain_yolo.options import YoloOptions
from visiontrain_yolo.settings import settings_of
from visiontrain_yolo.shapes import ShapeSampler

__all__ = ["Parts", "class_parts", "object_parts"]


@dataclass(frozen=True)
class Parts:
    """A task's half of a run.

    Args:
        learner: What is trained.
        train: Training batches.
        val: Validation batches.
        image: How the model wants its images, for checkpoints.
        metadata: What else an evaluation of the checkpoint needs, as plain values.
    """

    learner: Learner[Any]
    train: BatchSource[Any]
    val: BatchSource[Any]
    image: ImageConfig
    metadata: dict[str, Any]


def object_parts(
    model: nn.Module, name: str, data: DatasetIndex, params: TrainParams, options: YoloOptions, *, image_size: int
) -> Parts:
    """Of detect, segment, pose and obb. The model, on its device, gets what its loss reads."""
    stretch = is_rtdetr(name)
    task, device, stride = Task(params.task), next(model.parameters()).device, stride_of(model)
    settings = settings_of(options, task=task, epochs=params.epochs, image_size=image_size)
    weights = class_weights(data, options.class_weights_power) if options.class_weights_power > 0 else None
    built: Any = model
    built.args, built.class_weights = settings, None if weights is None else weights.to(device)
    train = IndexedObjects(
        data, "train", task, image_size=image_size, stride=stride, settings=settings, stretch=stretch
    )
    val = IndexedObjects(data, "val", task, image_size=image_size, stride=stride, stretch=stretch)
    order = EpochSampler(data.splits["train"], params.batch_size, params.seed, train=True)
    sizes = (shape_for(*size, image_size, stride, stretch=stretch) for size in data.sizes("val"))
    shapes = ShapeSampler(sizes, params.batch_size)
    batches = ObjectBatches(train, seed=params.seed, closed_from=options.first_closed_epoch(params.epochs))
    choose_head(model, nms=options.nms, max_det=options.max_det)
    learner = learner_class(name)(
        model,
        data.classes,
        device,
        task=task,
        image_size=image_size,
        stride=stride,
        multi_scale=options.multi_scale,
        seed=params.seed,
        iou=options.iou,
        max_det=options.max_det,
        edges=() if data.skeleton is None else data.skeleton.edges,
    )
    return Parts(
        learner,
        make_loader(batches, order, workers=options.workers, device=device),
        make_loader(ObjectBatches(val), shapes, workers=options.workers, device=device),
        image_config(image_size, stretch=stretch),
        {
            "skeleton": None if data.skeleton is None else data.skeleton.to_json(),
            "class_weights": None if weights is None else weights.tolist(),
        },
    )


def class_parts(
    model: nn.Module,
    name: str,  # noqa: ARG001 - as `object_parts` has it
    data: DatasetIndex,
    params: TrainParams,
    options: YoloOptions,
    *,
    image_size: int,
) -> Parts:
    """Of classify."""
    device, config = next(model.parameters()).device, class_image_config(image_size)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = options.dropout

    def loader(split: str, transform: Transform) -> BatchSource[Any]:
        images = LabelledImages(data, split, transform, params.seed)
        order = EpochSampler(data.splits[split], params.batch_size, params.seed, train=split == "train")
        return make_loader(images, order, workers=options.workers, device=device)

    return Parts(
        ClassLearner(model, data.classes, device),
        loader("train", TrainingImages(options, image_size)),
        loader("val", EvalTransform(config)),
        config,
        {},
    )
