"""timm's trainer: what runs inside the environment."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import version

from visiontrain_timm.build import Built, build_model  # isort: skip - sets huggingface_hub's variables before timm

import timm
import torch
from timm.models import get_pretrained_cfg
from timm.optim._param_groups import param_groups_weight_decay
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, SpecError
from visiontrain.protocol.messages import ModelInfo, TrainParams, TrainResult, Weights
from visiontrain.protocol.tasks import PRIMARY_METRIC, Task
from visiontrain.torchkit.data import EpochLoader, EpochSampler, LabelledImages, default_workers
from visiontrain.torchkit.device import describe_cpu, describe_devices, resolve_device
from visiontrain.torchkit.loop import LoopSettings, TrainingLoop
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.randomness import seed_everything
from visiontrain.torchkit.schedule import CosineSchedule
from visiontrain.torchkit.state import CheckpointKeeper, Facts
from visiontrain.torchkit.transforms import EvalTransform, LightAugmentation, Normalize, Transform
from visiontrain.worker.context import RunContext
from visiontrain.worker.trainer import Description
from visiontrain_timm.classify import Classifier
from visiontrain_timm.options import TimmOptions

__all__ = ["TimmTrainer"]

_PACKAGES = ("timm", "torch", "torchvision", "torchmetrics", "pillow", "numpy")

#: Highest learning rates at `_BATCH_SIZE`; they grow with the batch size's square root, as Adam's noise asks for.
#: Batch norm makes high rates safe; transformers and their like diverge or stall there.
_FROM_SCRATCH_BATCH_NORM = 2e-3
_FROM_SCRATCH = 5e-4
_FINE_TUNING = 2e-4
_BATCH_SIZE = 32

_LONGEST_WARMUP = 5


class TimmTrainer:
    """Trains timm's image classifiers."""

    def describe(self) -> Description:
        """Versions and devices."""
        return Description({name: version(name) for name in _PACKAGES}, describe_devices(), describe_cpu())

    def models(self) -> Iterator[ModelInfo]:
        """Every architecture with the tags of its published weights."""
        tags: dict[str, list[str]] = {}
        for name in timm.list_pretrained():
            architecture, _, tag = name.partition(".")
            tags.setdefault(architecture, []).append(tag)
        for name in timm.list_models():
            default = getattr(get_pretrained_cfg(name), "tag", None)
            found = sorted(tags.get(name, ()), key=lambda tag: tag != default)
            yield ModelInfo(name, (str(Task.classify),), tuple(found))

    def train(self, context: RunContext) -> TrainResult:
        """Train a classifier."""
        params, data = context.params, context.dataset
        options = TimmOptions.from_params(params.options)
        _check(params, data)
        device = resolve_device(params.device)
        precision = resolve_precision(options.precision, device)
        seed_everything(params.seed)
        # A resumed run's weights come from its checkpoint: nothing is fetched again.
        weights = Weights("scratch") if params.resume and params.resume.checkpoints else params.weights
        built = build_model(
            params.model,
            classes=data.classes,
            image_size=params.image_size,
            weights=weights,
            options=options,
            log=context.log,
        )
        model = built.model.to(device)
        if options.channels_last:
            model = model.to(memory_format=torch.channels_last)
        learning_rate = _learning_rate(context, model)
        train, val = _loaders(data, params, options, built, device)
        schedule = _schedule(params.epochs, train.batches, learning_rate, options)
        height, width = built.image.size
        context.log(
            f"{params.model}: {sum(p.numel() for p in model.parameters()):,} parameters, {height} x {width} px, "
            f"{precision} on {device}, learning rate {learning_rate:.2g}, "
            f"warmup {schedule.warmup} of {schedule.steps} steps."
        )
        optimizer = _optimizer(model, learning_rate, options.weight_decay)
        keeper = CheckpointKeeper(
            context,
            model,
            optimizer,
            device,
            _facts(
                params=params,
                data=data,
                built=built,
                options=options,
                conditions={"precision": precision, "learning rate": learning_rate},
            ),
        )
        seed_everything(params.seed)
        loop = TrainingLoop(
            context=context,
            learner=Classifier(
                model,
                data.classes,
                Normalize(built.image, device, channels_last=options.channels_last),
                device,
                label_smoothing=options.label_smoothing,
            ),
            train=train,
            val=val,
            optimizer=optimizer,
            schedule=schedule,
            keeper=keeper,
            settings=LoopSettings(
                epochs=params.epochs,
                learning_rate=learning_rate,
                primary_metric=PRIMARY_METRIC[Task.classify],
                precision=precision,
                clip_grad=options.clip_grad,
                checkpoint_minutes=options.checkpoint_minutes,
            ),
            device=device,
        )
        return loop.run()


def _check(params: TrainParams, data: DatasetIndex) -> None:
    if params.task != Task.classify:
        raise SpecError("task", f"timm trains {Task.classify}, not {params.task}")
    if len(data.classes) < 2:  # noqa: PLR2004
        raise DatasetError(f"a classifier needs two classes or more; the data has {len(data.classes)}")
    for split in ("train", "val"):
        if not data.splits.get(split):
            raise DatasetError(f"the data has no images in its split {split}")


def _learning_rate(context: RunContext, model: nn.Module) -> float:
    params = context.params
    if params.learning_rate is not None:
        return params.learning_rate
    if params.weights.source != "scratch":
        base, what = _FINE_TUNING, "trained weights"
    elif any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):  # noqa: SLF001
        base, what = _FROM_SCRATCH_BATCH_NORM, "random weights and batch norm"
    else:
        base, what = _FROM_SCRATCH, "random weights without batch norm"
    rate = base * math.sqrt(params.batch_size / _BATCH_SIZE)
    context.log(f"Learning rate {rate:.2g}: the default for {what} at batch size {params.batch_size}.")
    return rate


def _loaders(
    data: DatasetIndex, params: TrainParams, options: TimmOptions, built: Built, device: torch.device
) -> tuple[EpochLoader, EpochLoader]:
    workers = default_workers(device) if options.workers is None else options.workers
    evaluate = EvalTransform(built.image)
    augment: Transform = LightAugmentation(built.image) if options.augmentation == "light" else evaluate

    def loader(split: str, transform: Transform) -> EpochLoader:
        dataset = LabelledImages(data, split, transform, params.seed)
        sampler = EpochSampler(data.splits[split], params.batch_size, params.seed, train=split == "train")
        return EpochLoader(dataset, sampler, workers=min(workers, sampler.batches), device=device)

    return loader("train", augment), loader("val", evaluate)


def _schedule(epochs: int, batches: int, learning_rate: float, options: TimmOptions) -> CosineSchedule:
    warmup = min(_LONGEST_WARMUP, epochs / 10) if options.warmup_epochs is None else options.warmup_epochs
    if warmup > epochs:
        raise SpecError("warmup_epochs", f"must be at most the {epochs} epochs of the run, not {warmup:g}")
    return CosineSchedule(learning_rate, steps=epochs * batches, warmup=round(warmup * batches))


def _optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    without: set[str] = getattr(model, "no_weight_decay", set)()
    groups = param_groups_weight_decay(model, weight_decay, no_weight_decay_list=without)
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def _facts(
    *, params: TrainParams, data: DatasetIndex, built: Built, options: TimmOptions, conditions: dict[str, object]
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
        },
        conditions={
            **options.conditions(),
            **conditions,
            "number of epochs, which the learning rate's schedule is laid out for,": params.epochs,
        },
        packages=_PACKAGES,
        metadata={
            "framework": "timm",
            "task": params.task,
            "model": params.model,
            "classes": list(data.classes),
            "image": image,
        },
    )
