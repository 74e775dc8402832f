"""A classifier's training, from the request to the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, SpecError
from visiontrain.hyperparameters.classification import ClassificationOptions
from visiontrain.protocol.messages import TrainParams, TrainResult
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.augmentation import augmentation
from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.classification.batch_size import choose_batch_size
from visiontrain.torchkit.classification.framework import Built, ClassifierFramework
from visiontrain.torchkit.classification.learner import Classifier
from visiontrain.torchkit.classification.multilabel import MultiLabelClassifier
from visiontrain.torchkit.compiling import compile_model
from visiontrain.torchkit.data import EpochSampler, ImageBatch, LabelledImages
from visiontrain.torchkit.device import resolve_device
from visiontrain.torchkit.freezing import freeze
from visiontrain.torchkit.learning import BatchSource
from visiontrain.torchkit.loaders import make_loader
from visiontrain.torchkit.loop import LoopSettings, TrainingLoop
from visiontrain.torchkit.mixing import Mixer
from visiontrain.torchkit.optimizing import build_schedule, choose_learning_rate
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.randomness import seed_everything
from visiontrain.torchkit.sampling import balanced_weights
from visiontrain.torchkit.state import CheckpointKeeper, Facts
from visiontrain.torchkit.transforms import EvalTransform, Normalize, Transform
from visiontrain.torchkit.updates import Updates
from visiontrain.worker.context import RunContext

__all__ = ["train_classifier"]

O = TypeVar("O", bound=ClassificationOptions)  # noqa: E741 - an options class

#: Primary metrics of which lower is better.
_LOSSES = ("val_loss",)


def train_classifier(context: RunContext, framework: ClassifierFramework[O]) -> TrainResult:
    """Train a classifier.

    Args:
        context: The run.
        framework: How its model is built.

    Raises:
        VisiontrainError: what the request asks for can't be done; says what to do instead.
    """
    params, data = context.params, context.dataset
    options = framework.options.from_params(params.options)
    _check(params, data, options)
    metric = options.metric(multi_label=data.multi_label)
    device = resolve_device(params.device)
    precision = resolve_precision(options.precision, device)
    seed_everything(params.seed)
    built = framework.build(params, options, data.classes, context.log)
    model = built.model.to(device)
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)
    _freeze(model, params, options, framework, context.log)
    normalize = Normalize(built.image, device, channels_last=options.channels_last)
    learner = (MultiLabelClassifier if data.multi_label else Classifier)(
        model,
        data.classes,
        normalize,
        device,
        label_smoothing=options.label_smoothing,
        mixer=_mixer(options),
        weights=_class_weights(data, options),
    )
    # Before it is compiled: each size would have a graph of its own.
    batch_size = choose_batch_size(
        params,
        options,
        learner,
        data,
        built.image,
        optimizer=lambda: framework.optimizer(model, 0.0, options),
        precision=precision,
        device=device,
        log=context.log,
    )
    params = replace(params, batch_size=batch_size)
    if options.compile:
        pixels = torch.zeros(params.batch_size, *built.image.size, 3, dtype=torch.uint8, device=device)
        compile_model(model, normalize(pixels), precision)
    learning_rate = choose_learning_rate(params, options, model, context.log)
    train, val = _loaders(data, params, options, built, device)
    schedule = build_schedule(params.epochs, -(-train.batches // options.accumulate), learning_rate, options)
    height, width = built.image.size
    context.log(
        f"{params.model}: {sum(p.numel() for p in model.parameters()):,} parameters, {height} x {width} px, "
        f"{precision} on {device}, learning rate {learning_rate:.2g}, "
        f"warmup {schedule.warmup} of {schedule.steps} steps."
    )
    optimizer = framework.optimizer(model, learning_rate, options)
    updates = Updates(
        model,
        optimizer,
        schedule,
        accumulate=options.accumulate,
        clip_grad=options.clip_grad,
        average=WeightAverage(model, options.ema_decay) if options.ema_decay > 0 else None,
    )
    facts = _facts(
        params,
        data,
        built,
        framework,
        conditions={**options.conditions(), "precision": precision, "learning rate": learning_rate},
        identity=options.identity(),
    )
    keeper = CheckpointKeeper(context, model, optimizer, updates=updates, device=device, facts=facts)
    seed_everything(params.seed)
    return TrainingLoop(
        context=context,
        learner=learner,
        train=train,
        val=val,
        updates=updates,
        keeper=keeper,
        settings=LoopSettings(
            epochs=params.epochs,
            learning_rate=learning_rate,
            primary_metric=metric,
            lower_is_better=metric in _LOSSES,
            patience=options.patience,
            precision=precision,
            checkpoint_minutes=options.checkpoint_minutes,
        ),
        device=device,
    ).run()


def _check(params: TrainParams, data: DatasetIndex, options: ClassificationOptions) -> None:
    if params.task != Task.classify:
        raise SpecError("task", f"{options.framework} trains {Task.classify}, not {params.task}")
    if len(data.classes) < 2:  # noqa: PLR2004
        raise DatasetError(f"a classifier needs two classes or more; the data has {len(data.classes)}")
    options.check_classes(data.classes, multi_label=data.multi_label)
    for split in ("train", "val"):
        if not data.splits.get(split):
            raise DatasetError(f"the data has no images in its split {split}")


def _freeze(
    model: nn.Module, params: TrainParams, options: O, framework: ClassifierFramework[O], log: Callable[[str], None]
) -> None:
    frozen = framework.parameters_to_freeze(model, options.freeze)
    if not frozen:
        return
    if params.weights.source == "scratch":
        raise SpecError(
            "freeze",
            "would keep random weights as they are",
            instruction="Begin with trained ones (--pretrained or --weights PATH), or leave freeze out.",
        )
    freeze(model, frozen)
    count = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    log(f"Frozen: {len(frozen)} of {len(list(model.parameters()))} weights, {count:,} parameters.")


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


def _loaders(
    data: DatasetIndex, params: TrainParams, options: ClassificationOptions, built: Built, device: torch.device
) -> tuple[BatchSource[ImageBatch], BatchSource[ImageBatch]]:
    evaluate = EvalTransform(built.image)
    augment = augmentation(options.augmentation, built.image)
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
        return make_loader(dataset, sampler, workers=options.workers, device=device)

    return loader("train", augment), loader("val", evaluate)


def _facts(
    params: TrainParams,
    data: DatasetIndex,
    built: Built,
    framework: ClassifierFramework[O],
    *,
    conditions: dict[str, object],
    identity: dict[str, object],
) -> Facts:
    image = built.image.to_plain()
    return Facts(
        identity={
            "model": params.model,
            "task": params.task,
            "data": data.fingerprint,
            "seed": params.seed,
            "batch_size": params.batch_size,
            "image_size": image["size"],
            **identity,
        },
        conditions={
            **conditions,
            "number of epochs, which the learning rate's schedule is laid out for,": params.epochs,
        },
        packages=framework.packages,
        metadata={
            "framework": framework.name,
            "task": params.task,
            "model": params.model,
            "classes": list(data.classes),
            "multi_label": data.multi_label,
            "image": image,
            **built.recipe,
        },
    )
