"""Ultralytics' trainer: what runs inside the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, SpecError
from visiontrain.protocol.inference import EvaluateResult
from visiontrain.protocol.messages import ModelInfo, TrainParams, TrainResult
from visiontrain.protocol.tasks import Task, primary_metric
from visiontrain.torchkit.checkpoint import read_checkpoint
from visiontrain.torchkit.data import EpochLoader, EpochSampler, default_workers
from visiontrain.torchkit.device import describe_cpu, describe_devices, resolve_device
from visiontrain.torchkit.freezing import freeze
from visiontrain.torchkit.loop import LoopSettings, TrainingLoop
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.randomness import seed_everything
from visiontrain.torchkit.state import CheckpointKeeper, Facts
from visiontrain.worker.context import EvaluateContext, RunContext
from visiontrain.worker.trainer import Description
from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.build import build_model, check_image_size, stride_of
from visiontrain_yolo.class_weights import class_weights
from visiontrain_yolo.dataset import IndexedObjects, ObjectBatches, shape_for
from visiontrain_yolo.inference import FRAMEWORK, evaluate_checkpoint, image_config
from visiontrain_yolo.learner import ObjectLearner
from visiontrain_yolo.names import DEFAULT_MODEL, all_models, resolve_model
from visiontrain_yolo.optimize import YoloAverage, YoloUpdates, build_optimizer, choose
from visiontrain_yolo.options import YoloOptions
from visiontrain_yolo.parts import parameters_to_freeze
from visiontrain_yolo.plan import Plan, falling
from visiontrain_yolo.settings import settings_of
from visiontrain_yolo.shapes import ShapeSampler
from visiontrain_yolo.weights import load_into, read_weights

__all__ = ["FRAMEWORK", "TASKS", "YoloTrainer"]

TASKS = (Task.detect, Task.segment, Task.pose, Task.obb)

#: The distribution that holds the package ultralytics.
_DISTRIBUTION = "ultralytics-opencv-headless"
_PACKAGES = (_DISTRIBUTION, "torch", "torchvision", "opencv-python-headless", "pillow", "numpy")

_IMAGE_SIZE = 640


class YoloTrainer:
    """Trains Ultralytics' models."""

    def describe(self) -> Description:
        """Versions and devices."""
        versions = {"ultralytics": version(_DISTRIBUTION)}
        versions |= {name: version(name) for name in _PACKAGES if name != _DISTRIBUTION}
        return Description(versions, describe_devices(), describe_cpu())

    def models(self) -> Iterator[ModelInfo]:
        """Every model for the tasks that are offered."""
        yield ModelInfo(DEFAULT_MODEL, tuple(map(str, TASKS)))
        for model in all_models(TASKS):
            yield ModelInfo(model.name, (str(model.task),))

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """Evaluate a checkpoint."""
        return evaluate_checkpoint(context)

    def train(self, context: RunContext) -> TrainResult:
        """Train a model."""
        params, data = context.params, context.dataset
        options = YoloOptions.from_params(params.options)
        _check(params, data)
        name = resolve_model(params.model, Task(params.task), TASKS)
        image_size = params.image_size or _IMAGE_SIZE
        device = resolve_device(params.device)
        precision = resolve_precision(options.precision, device)
        settings = settings_of(options, task=params.task, epochs=params.epochs, image_size=image_size)
        seed_everything(params.seed)
        model, head_classes = _build(context, name, data)
        built: Any = model.to(device)
        stride = stride_of(model)
        check_image_size(image_size, stride)
        built.args = settings
        weights = class_weights(data, options.class_weights_power) if options.class_weights_power > 0 else None
        built.class_weights = None if weights is None else weights.to(device)
        _freeze(model, options, params, context.log)
        train, val = _loaders(data, params, options, settings, model)
        choice = choose(params, options, images=data.splits["train"], classes=len(data.classes), log=context.log)
        optimizer = build_optimizer(model, choice, options.scaled_weight_decay(params.batch_size))
        plan = _plan(train.batches, params, options)
        updates = YoloUpdates(
            model,
            optimizer,
            plan=plan,
            choice=choice,
            factor=falling(options.schedule, options.final_rate, params.epochs),
            clip_grad=options.clip_grad,
            average=YoloAverage(model, options.ema_decay) if options.ema_decay > 0 else None,
        )
        context.log(
            f"{name}: {sum(p.numel() for p in model.parameters()):,} parameters, {image_size} px, {precision} on "
            f"{device}, {plan.accumulate} x {params.batch_size} images a step."
        )
        facts = _facts(
            params=params, data=data, name=name, options=options, image_size=image_size, head_classes=head_classes,
            weights=weights,
            conditions={"precision": precision, "learning rate": choice.learning_rate, "optimizer": choice.optimizer},
        )  # fmt: skip
        keeper = CheckpointKeeper(context, model, optimizer, updates=updates, device=device, facts=facts)
        learner = ObjectLearner(
            model,
            data.classes,
            device,
            task=params.task,
            image_size=image_size,
            stride=stride,
            multi_scale=options.multi_scale,
            seed=params.seed,
            iou=options.iou,
            max_det=options.max_det,
        )
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
                learning_rate=choice.learning_rate,
                primary_metric=primary_metric(Task(params.task)),
                patience=options.patience,
                precision=precision,
                checkpoint_minutes=options.checkpoint_minutes,
            ),
            device=device,
        ).run()


def _check(params: TrainParams, data: DatasetIndex) -> None:
    if params.task not in TASKS:
        raise SpecError("task", f"yolo trains {', '.join(TASKS)}, not {params.task}")
    if not data.has_objects:
        raise DatasetError(
            f"the data's images have labels, and the task {params.task} needs objects",
            instruction="Give data with boxes, or train a classifier.",
        )
    for split in ("train", "val"):
        if not data.splits.get(split):
            raise DatasetError(f"the data has no images in its split {split}")


def _build(context: RunContext, name: str, data: DatasetIndex) -> tuple[nn.Module, int]:
    """The model with its first weights, and how many classes its head was laid out for."""
    params = context.params
    keypoints = 0 if data.skeleton is None else len(data.skeleton.names)

    def build(head_classes: int) -> nn.Module:
        return build_model(name, data.classes, head_classes=head_classes, keypoints=keypoints)

    if params.resume is not None:
        for path in params.resume.checkpoints:
            try:  # which of them is gone on from, and why not another one, is the keeper's to say
                head_classes = int(read_checkpoint(Path(path))["metadata"]["head_classes"])
            except (ValueError, KeyError):
                continue
            return build(head_classes), head_classes
    if params.weights.source == "file":
        weights = read_weights(Path(params.weights.path or ""))
        model = build(weights.head_classes)
        load_into(model, name, weights, context.log)
        return model, weights.head_classes
    if params.weights.source == "pretrained":
        raise SpecError("weights", "yolo can't begin with published weights", instruction="Give a file, or --scratch.")
    return build(len(data.classes)), len(data.classes)


def _freeze(model: nn.Module, options: YoloOptions, params: TrainParams, log: Callable[[str], None]) -> None:
    frozen = parameters_to_freeze(model, options.freeze)
    if options.freeze != "none" and params.weights.source == "scratch":
        raise SpecError(
            "freeze", "would keep random weights as they are", instruction="Begin with trained ones: --weights PATH."
        )
    freeze(model, frozen)
    if options.freeze != "none":
        log(f"Frozen: {len(frozen)} of {len(list(model.parameters()))} weights.")


def _plan(batches: int, params: TrainParams, options: YoloOptions) -> Plan:
    # The last epoch is trained without warmup, as Ultralytics does.
    warmup = round(min(options.warmup_epochs, params.epochs - 1) * batches)
    accumulate = min(options.accumulated(params.batch_size), batches)
    return Plan(batches, accumulate, warmup)


def _loaders(
    data: DatasetIndex, params: TrainParams, options: YoloOptions, settings: Any, model: nn.Module
) -> tuple[EpochLoader[ObjectBatch], EpochLoader[ObjectBatch]]:
    device, stride, image_size = next(model.parameters()).device, stride_of(model), settings.imgsz
    task = Task(params.task)
    workers = default_workers(device) if options.workers is None else options.workers
    closed_from = options.first_closed_epoch(params.epochs)
    train = IndexedObjects(data, "train", task, image_size=image_size, stride=stride, settings=settings)
    val = IndexedObjects(data, "val", task, image_size=image_size, stride=stride)
    order = EpochSampler(data.splits["train"], params.batch_size, params.seed, train=True)
    shapes = ShapeSampler((shape_for(*size, image_size, stride) for size in data.sizes("val")), params.batch_size)
    batches = ObjectBatches(train, seed=params.seed, closed_from=closed_from)
    return (
        EpochLoader(batches, order, workers=min(workers, order.batches), device=device),
        EpochLoader(ObjectBatches(val), shapes, workers=min(workers, shapes.batches), device=device),
    )


def _facts(
    *,
    params: TrainParams,
    data: DatasetIndex,
    name: str,
    options: YoloOptions,
    image_size: int,
    head_classes: int,
    weights: torch.Tensor | None,
    conditions: dict[str, object],
) -> Facts:
    return Facts(
        identity={
            "model": name,
            "task": params.task,
            "data": data.fingerprint,
            "seed": params.seed,
            "batch_size": params.batch_size,
            "image_size": image_size,
            **options.identity(),
        },
        conditions={
            **options.conditions(),
            **conditions,
            "number of epochs, which the learning rate's schedule is laid out for,": params.epochs,
        },
        packages=_PACKAGES,
        metadata={
            "framework": FRAMEWORK,
            "task": params.task,
            "model": name,
            "classes": list(data.classes),
            "multi_label": False,
            "image": image_config(image_size).to_plain(),
            "head_classes": head_classes,
            "skeleton": None if data.skeleton is None else data.skeleton.to_json(),
            "class_weights": None if weights is None else weights.tolist(),
        },
    )
