"""A training from the request to the loop, whatever the task and the framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from visiontrain.errors import DatasetError, SpecError
from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.protocol.messages import TrainParams, TrainResult
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.batch_size import choose_batch_size
from visiontrain.torchkit.compiling import compile_model
from visiontrain.torchkit.device import resolve_device
from visiontrain.torchkit.framework import Framework
from visiontrain.torchkit.freezing import freeze
from visiontrain.torchkit.loop import LoopSettings, TrainingLoop
from visiontrain.torchkit.optimizing import build_schedule, choose_learning_rate
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.randomness import seed_everything
from visiontrain.torchkit.state import CheckpointKeeper, Facts
from visiontrain.torchkit.transforms import Normalize
from visiontrain.torchkit.updates import Updates
from visiontrain.torchkit.vision_task import Setup, VisionTask
from visiontrain.worker.context import RunContext

__all__ = ["task_of", "train"]

O = TypeVar("O", bound=ModelOptions)  # noqa: E741 - an options class

#: Primary metrics of which lower is better.
_LOSSES = ("val_loss",)


def train(context: RunContext, framework: Framework[O], tasks: Mapping[Task, VisionTask[O, Any]]) -> TrainResult:
    """Train a model.

    Args:
        context: The run.
        framework: How its model is built.
        tasks: What the framework's models are trained for.

    Raises:
        VisiontrainError: what the request asks for can't be done; says what to do instead.
    """
    params, data = context.params, context.dataset
    task = task_of(params.task, framework, tasks)
    options = framework.options.from_params(params.options, Task(params.task))
    task.check(data, options)
    for split in ("train", "val"):
        if not data.splits.get(split):
            raise DatasetError(f"the data has no images in its split {split}")
    metric = task.metric(data, options)
    device = resolve_device(params.device)
    precision = resolve_precision(options.precision, device)
    seed_everything(params.seed)
    built = framework.build(params, options, data.classes, context.log)
    model = built.model.to(device)
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)
    _freeze(model, params, options, framework, context.log)
    normalize = Normalize(built.image, device, channels_last=options.channels_last)
    setup = Setup(params, options, data, replace(built, model=model), normalize, device)
    learner = task.learner(setup)
    # Before it is compiled: each size would have a graph of its own.
    batch_size = choose_batch_size(
        setup,
        learner,
        make_batch=lambda images: task.trial(setup, images),
        optimizer=lambda: framework.optimizer(model, 0.0, options),
        precision=precision,
        log=context.log,
    )
    params = replace(params, batch_size=batch_size)
    setup = replace(setup, params=params)
    if options.compile:
        pixels = torch.zeros(params.batch_size, *built.image.size, 3, dtype=torch.uint8, device=device)
        compile_model(model, normalize(pixels), precision)
    learning_rate = choose_learning_rate(params, options, model, context.log, start=task.learning_rates(setup))
    train_batches, val_batches = task.loaders(setup)
    schedule = build_schedule(params.epochs, -(-train_batches.batches // options.accumulate), learning_rate, options)
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
        clip_grad=options.clip_grad or 0.0,
        average=WeightAverage(model, options.ema_decay) if options.ema_decay > 0 else None,
    )
    facts = _facts(setup, framework, task, {"precision": precision, "learning rate": learning_rate})
    keeper = CheckpointKeeper(context, model, optimizer, updates=updates, device=device, facts=facts)
    seed_everything(params.seed)
    return TrainingLoop(
        context=context,
        learner=learner,
        train=train_batches,
        val=val_batches,
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


def task_of(name: str, framework: Framework[O], tasks: Mapping[Task, VisionTask[O, Any]]) -> VisionTask[O, Any]:
    """The task of that name.

    Raises:
        SpecError: the framework's models are not for it.
    """
    found = next((value for task, value in tasks.items() if task == name), None)
    if found is None:
        raise SpecError("task", f"{framework.name} trains {', '.join(tasks)}, not {name}")
    return found


def _freeze(
    model: nn.Module, params: TrainParams, options: O, framework: Framework[O], log: Callable[[str], None]
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


def _facts(
    setup: Setup[O], framework: Framework[O], task: VisionTask[O, Any], conditions: Mapping[str, object]
) -> Facts:
    params, options, data = setup.params, setup.options, setup.data
    image = setup.built.image.to_plain()
    return Facts(
        identity={
            "model": params.model,
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
        packages=framework.packages,
        metadata={
            "framework": framework.name,
            "task": params.task,
            "model": params.model,
            "classes": list(data.classes),
            "multi_label": data.multi_label,
            "image": image,
            **setup.built.recipe,
            **task.metadata(setup),
        },
    )
