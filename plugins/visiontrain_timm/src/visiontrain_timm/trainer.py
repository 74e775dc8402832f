"""timm's trainer: what runs inside the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version

from visiontrain_timm.build import Built, build_model  # isort: skip - sets huggingface_hub's variables before timm

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, SpecError
from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.messages import ModelInfo, TrainParams, TrainResult, Weights
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.augmentation import augmentation
from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.compiling import compile_model
from visiontrain.torchkit.data import EpochLoader, EpochSampler, ImageBatch, LabelledImages, default_workers
from visiontrain.torchkit.device import describe_cpu, describe_devices, resolve_device
from visiontrain.torchkit.freezing import freeze
from visiontrain.torchkit.loop import LoopSettings, TrainingLoop
from visiontrain.torchkit.mixing import Mixer
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.randomness import seed_everything
from visiontrain.torchkit.sampling import balanced_weights
from visiontrain.torchkit.state import CheckpointKeeper, Facts
from visiontrain.torchkit.transforms import EvalTransform, Normalize, Transform
from visiontrain.torchkit.updates import Updates
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description
from visiontrain_timm.batch_size import choose_batch_size
from visiontrain_timm.classify import Classifier
from visiontrain_timm.inference import FRAMEWORK, Inference, export_model
from visiontrain_timm.multilabel import MultiLabelClassifier, primary_metric, refuse_single_label_options
from visiontrain_timm.optimize import build_optimizer, build_schedule, choose_learning_rate
from visiontrain_timm.options import TimmOptions
from visiontrain_timm.parts import parameters_to_freeze

__all__ = ["TimmTrainer"]

_PACKAGES = ("timm", "torch", "torchvision", "torchmetrics", "pillow", "numpy")

#: Primary metrics of which lower is better.
_LOSSES = ("val_loss",)

#: Classes that the top five have to be fewer than.
_TOP = 5


class TimmTrainer:
    """Trains timm's image classifiers, and uses what it trained."""

    def __init__(self) -> None:
        self._inference = Inference()

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
        _check(params, data, options)
        metric = primary_metric(options, multi_label=data.multi_label)
        device = resolve_device(params.device)
        precision = resolve_precision(options.precision, device)
        seed_everything(params.seed)
        # A resumed run's weights come from its checkpoint: nothing is fetched again.
        resumed = bool(params.resume and params.resume.checkpoints)
        built = build_model(
            params.model,
            classes=data.classes,
            image_size=params.image_size,
            weights=Weights("scratch") if resumed else params.weights,
            options=options,
            log=context.log,
            resumed=resumed,
        )
        model = built.model.to(device)
        if options.channels_last:
            model = model.to(memory_format=torch.channels_last)
        _freeze(model, params, options, context.log)
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
            params, options, learner, data, built.image, precision=precision, device=device, log=context.log
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
        optimizer = build_optimizer(model, learning_rate, options)
        updates = Updates(
            model,
            optimizer,
            schedule,
            accumulate=options.accumulate,
            clip_grad=options.clip_grad,
            average=WeightAverage(model, options.ema_decay) if options.ema_decay > 0 else None,
        )
        keeper = CheckpointKeeper(
            context,
            model,
            optimizer,
            updates=updates,
            device=device,
            facts=_facts(
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
        )
        return loop.run()

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """Evaluate a checkpoint."""
        return self._inference.evaluate(context)

    def predict(self, params: PredictParams) -> PredictResult:
        """Classify images."""
        return self._inference.predict(params)

    def export(self, context: ExportContext) -> ExportResult:
        """Write a checkpoint's model as ONNX or TorchScript."""
        return export_model(context)


def _check(params: TrainParams, data: DatasetIndex, options: TimmOptions) -> None:
    if params.task != Task.classify:
        raise SpecError("task", f"timm trains {Task.classify}, not {params.task}")
    if len(data.classes) < 2:  # noqa: PLR2004
        raise DatasetError(f"a classifier needs two classes or more; the data has {len(data.classes)}")
    if options.primary_metric == "accuracy_top5" and len(data.classes) <= _TOP:
        raise SpecError(
            "primary_metric",
            f"accuracy_top5 is always 1 with {len(data.classes)} classes",
            instruction="Set accuracy, or another one.",
        )
    unknown = [name for name in options.weights_by_class() or () if name not in data.classes]
    if unknown:
        raise SpecError(
            "class_weights",
            f"names {', '.join(unknown)}, which is no class of the data",
            instruction=f"There is {', '.join(data.classes)}.",
        )
    if data.multi_label:
        refuse_single_label_options(options)
    for split in ("train", "val"):
        if not data.splits.get(split):
            raise DatasetError(f"the data has no images in its split {split}")


def _freeze(model: nn.Module, params: TrainParams, options: TimmOptions, log: Callable[[str], None]) -> None:
    frozen = parameters_to_freeze(model, options.freeze)
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


def _mixer(options: TimmOptions) -> Mixer | None:
    if options.mixup == 0 and options.cutmix == 0:
        return None
    probability = 1.0 if options.mix_probability is None else options.mix_probability
    return Mixer(mixup=options.mixup, cutmix=options.cutmix, probability=probability)


def _class_weights(data: DatasetIndex, options: TimmOptions) -> tuple[float, ...] | None:
    if options.class_weights == "none":
        return None
    if options.class_weights == "balanced":
        return balanced_weights(data.labels("train"), len(data.classes))
    given = options.weights_by_class() or {}
    return tuple(given.get(name, 1.0) for name in data.classes)


def _loaders(
    data: DatasetIndex, params: TrainParams, options: TimmOptions, built: Built, device: torch.device
) -> tuple[EpochLoader[ImageBatch], EpochLoader[ImageBatch]]:
    workers = default_workers(device) if options.workers is None else options.workers
    evaluate = EvalTransform(built.image)
    augment = augmentation(options.augmentation, built.image)
    balance = data.labels("train") if options.balanced_sampling else None

    def loader(split: str, transform: Transform) -> EpochLoader[ImageBatch]:
        dataset = LabelledImages(data, split, transform, params.seed)
        sampler = EpochSampler(
            data.splits[split],
            params.batch_size,
            params.seed,
            train=split == "train",
            balance=balance if split == "train" else None,
        )
        return EpochLoader(dataset, sampler, workers=min(workers, sampler.batches), device=device)

    return loader("train", augment), loader("val", evaluate)


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
            "model": params.model,
            "classes": list(data.classes),
            "multi_label": data.multi_label,
            "image": image,
            **built.recipe,
        },
    )
