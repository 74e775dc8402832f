"""Ultralytics' trainer: what runs inside the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, SpecError
from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.messages import ModelInfo, TrainParams, TrainResult
from visiontrain.protocol.tasks import Task, primary_metric
from visiontrain.torchkit.checkpoint import read_checkpoint
from visiontrain.torchkit.device import describe_cpu, describe_devices, resolve_device
from visiontrain.torchkit.freezing import freeze
from visiontrain.torchkit.loop import LoopSettings, TrainingLoop
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.published import no_weights
from visiontrain.torchkit.randomness import seed_everything
from visiontrain.torchkit.state import CheckpointKeeper, Facts
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description
from visiontrain_yolo.build import build_model, check_image_size, stride_of
from visiontrain_yolo.contradictions import refuse_flips, refuse_for_epochs, refuse_for_model, refuse_for_task
from visiontrain_yolo.exporting import export_checkpoint
from visiontrain_yolo.inference import FRAMEWORK, evaluate_checkpoint
from visiontrain_yolo.layout import place
from visiontrain_yolo.names import DEFAULT_MODEL, ModelName, all_models, is_rtdetr, resolve_model
from visiontrain_yolo.optimize import YoloAverage, YoloUpdates, build_optimizer, choose
from visiontrain_yolo.options import YoloOptions
from visiontrain_yolo.parts import parameters_to_freeze
from visiontrain_yolo.plan import Plan, falling
from visiontrain_yolo.predicting import Inference
from visiontrain_yolo.published import FetchStoppedError, fetch_weights
from visiontrain_yolo.training import Parts, class_parts, object_parts
from visiontrain_yolo.weights import load_into, read_weights

__all__ = ["FRAMEWORK", "TASKS", "YoloTrainer"]

TASKS = (Task.detect, Task.segment, Task.pose, Task.obb, Task.classify)

#: The distribution that holds the package ultralytics.
_DISTRIBUTION = "ultralytics-opencv-headless"
_PACKAGES = (_DISTRIBUTION, "torch", "torchvision", "opencv-python-headless", "pillow", "numpy")

_IMAGE_SIZE = 640
_IMAGE_SIZES = {Task.classify: 224}


class YoloTrainer:
    """Trains Ultralytics' models, and uses what it trained."""

    def __init__(self) -> None:
        self._inference = Inference()

    def describe(self) -> Description:
        """Versions and devices."""
        versions = {"ultralytics": version(_DISTRIBUTION)}
        versions |= {name: version(name) for name in _PACKAGES if name != _DISTRIBUTION}
        return Description(versions, describe_devices(), describe_cpu())

    def models(self) -> Iterator[ModelInfo]:
        """Every model for the tasks that are offered."""
        yield ModelInfo(DEFAULT_MODEL, tuple(map(str, TASKS)))
        for model in all_models(TASKS):
            yield ModelInfo(model.name, (str(model.task),), () if model.published is None else (model.published,))

    def predict(self, params: PredictParams) -> PredictResult:
        """Say what is in images; the model is kept for the next request."""
        return self._inference.predict(params)

    def export(self, context: ExportContext) -> ExportResult:
        """Write a checkpoint's model for other programs."""
        return export_checkpoint(context)

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """Evaluate a checkpoint."""
        return evaluate_checkpoint(context)

    def train(self, context: RunContext) -> TrainResult:
        """Train a model."""
        try:
            return self._train(context)
        except FetchStoppedError:  # nothing was learned yet: a resume begins anew
            return TrainResult("stopped", 0.0, {})

    def _train(self, context: RunContext) -> TrainResult:
        params, data = context.params, context.dataset
        options = YoloOptions.from_params(params.options)
        _check(params, data)
        task = Task(params.task)
        refuse_for_task(options, task)
        refuse_for_epochs(options, params.epochs)
        if (
            task is Task.pose
            and data.skeleton is not None
            and not data.skeleton.flip
            and (said := refuse_flips(options))
        ):
            context.log(said, level="warning")
        chosen = resolve_model(params.model, task, TASKS)
        name = chosen.name
        refuse_for_model(options, name)
        image_size = params.image_size or _IMAGE_SIZES.get(task, _IMAGE_SIZE)
        device = resolve_device(params.device)
        precision = resolve_precision(options.precision, device)
        seed_everything(params.seed)
        model, head_classes = _build(context, chosen, data)
        model = place(model, device)
        check_image_size(image_size, stride_of(model))
        _freeze(model, options, params, context.log)
        make = class_parts if task is Task.classify else object_parts
        parts = make(model, name, data, params, options, image_size=image_size)
        choice = choose(params, options, images=data.splits["train"], classes=len(data.classes), log=context.log)
        batches = parts.train.batches
        optimizer = build_optimizer(model, choice, options.scaled_weight_decay(params.batch_size, batches))
        plan = _plan(batches, params, options)
        updates = YoloUpdates(
            model,
            optimizer,
            plan=plan,
            choice=choice,
            factor=falling(options.schedule, options.final_rate, params.epochs),
            clip_grad=options.clip_grad,
            per_image=not is_rtdetr(name),
            average=YoloAverage(model, options.ema_decay) if options.ema_decay > 0 else None,
        )
        context.log(
            f"{name}: {sum(p.numel() for p in model.parameters()):,} parameters, {image_size} px, {precision} on "
            f"{device}, {plan.accumulate} x {params.batch_size} images a step."
        )
        facts = _facts(
            params, data, name, options, parts, head_classes=head_classes,
            conditions={"precision": precision, "learning rate": choice.learning_rate, "optimizer": choice.optimizer},
        )  # fmt: skip
        keeper = CheckpointKeeper(context, model, optimizer, updates=updates, device=device, facts=facts)
        seed_everything(params.seed)
        return TrainingLoop(
            context=context,
            learner=parts.learner,
            train=parts.train,
            val=parts.val,
            updates=updates,
            keeper=keeper,
            settings=LoopSettings(
                epochs=params.epochs,
                learning_rate=choice.learning_rate,
                primary_metric=primary_metric(task),
                patience=options.patience,
                precision=precision,
                checkpoint_minutes=options.checkpoint_minutes,
            ),
            device=device,
        ).run()


def _check(params: TrainParams, data: DatasetIndex) -> None:
    if params.task not in TASKS:
        raise SpecError("task", f"yolo trains {', '.join(TASKS)}, not {params.task}")
    if params.task == Task.classify:
        data.labels("train")  # says so where images have objects or several labels
        if len(data.classes) < 2:  # noqa: PLR2004
            raise DatasetError(f"a classifier needs two classes or more; the data has {len(data.classes)}")
    elif not data.has_objects:
        there = "masks" if data.has_masks else "labels"
        raise DatasetError(
            f"the data's images have {there}, and the task {params.task} needs objects",
            instruction="Give data with boxes, or train a classifier.",
        )
    for split in ("train", "val"):
        if not data.splits.get(split):
            raise DatasetError(f"the data has no images in its split {split}")


def _build(context: RunContext, chosen: ModelName, data: DatasetIndex) -> tuple[nn.Module, int]:
    """The model with its first weights, and how many classes its head was laid out for."""
    params, name = context.params, chosen.name
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
    if params.weights.source == "scratch":
        return build(len(data.classes)), len(data.classes)
    weights = read_weights(
        Path(params.weights.path or "") if params.weights.source == "file" else _published(context, chosen)
    )
    model = build(weights.head_classes)
    load_into(model, name, weights, context.log)
    return model, weights.head_classes


def _published(context: RunContext, chosen: ModelName) -> Path:
    if chosen.published is None:
        raise no_weights(f"no weights of {chosen.name} are published")
    return fetch_weights(
        chosen.name,
        log=context.log,
        progress=lambda done, total: context.progress("weights", step=done, steps=total, message="MB"),
        stop_requested=lambda: context.stop_requested,
    )


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
    return Plan(batches, options.accumulated(params.batch_size, batches), warmup)


def _facts(
    params: TrainParams,
    data: DatasetIndex,
    name: str,
    options: YoloOptions,
    parts: Parts,
    *,
    head_classes: int,
    conditions: dict[str, object],
) -> Facts:
    image = parts.image.to_plain()
    return Facts(
        identity={
            "model": name,
            "task": params.task,
            "data": data.fingerprint,
            "seed": params.seed,
            "batch_size": params.batch_size,
            "image_size": image["size"],
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
            "image": image,
            "head_classes": head_classes,
            **parts.metadata,
        },
    )
