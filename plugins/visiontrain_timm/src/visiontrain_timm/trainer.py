"""timm's trainer: what runs inside the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version

from visiontrain_timm.build import build_model, rebuild_model  # isort: skip - sets the hub's variables before timm

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.messages import ModelInfo, TrainParams, TrainResult, Weights
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.classification.task import Classification
from visiontrain.torchkit.device import describe_cpu, describe_devices
from visiontrain.torchkit.framework import Built
from visiontrain.torchkit.freezing import parameters_to_freeze
from visiontrain.torchkit.inference import Inference
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.training import train
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description
from visiontrain_timm.optimize import build_optimizer
from visiontrain_timm.options import TimmOptions
from visiontrain_timm.parts import classifiers, stages_of

__all__ = ["Timm", "TimmTrainer"]

_TASKS = {Task.classify: Classification()}


class Timm:
    """timm's classifiers, as `visiontrain.torchkit.framework.Framework` has them."""

    name = "timm"
    packages = ("timm", "torch", "torchvision", "torchmetrics", "pillow", "numpy")
    options = TimmOptions

    def build(
        self, params: TrainParams, options: TimmOptions, classes: tuple[str, ...], log: Callable[[str], None]
    ) -> Built:
        """By the model's name. A resumed run's weights come from its checkpoint: nothing is fetched again."""
        resumed = bool(params.resume and params.resume.checkpoints)
        return build_model(
            params.model,
            classes=classes,
            image_size=params.image_size,
            weights=Weights("scratch") if resumed else params.weights,
            options=options,
            log=log,
            resumed=resumed,
        )

    def rebuild(self, saved: SavedModel, options: TimmOptions, *, exportable: bool = False) -> nn.Module:  # noqa: ARG002 - none has
        """As the checkpoint says."""
        # timm leaves out what exporters don't know
        return rebuild_model(saved, exportable=True) if exportable else rebuild_model(saved)

    def make_ready(self, model: nn.Module) -> None:
        """It is."""

    def parameters_to_freeze(self, model: nn.Module, text: str) -> list[str]:
        """By timm's stages and names."""
        return parameters_to_freeze(model, text, heads=classifiers(model), stages_of=lambda: stages_of(model))

    def optimizer(self, model: nn.Module, learning_rate: float, options: TimmOptions) -> torch.optim.Optimizer:
        """timm's."""
        return build_optimizer(model, learning_rate, options)


class TimmTrainer:
    """Trains timm's image classifiers, and uses what it trained."""

    def __init__(self) -> None:
        self._timm = Timm()
        self._inference = Inference(self._timm, _TASKS)

    def describe(self) -> Description:
        """Versions and devices."""
        return Description({name: version(name) for name in Timm.packages}, describe_devices(), describe_cpu())

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
        return train(context, self._timm, _TASKS)

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """Evaluate a checkpoint."""
        return self._inference.evaluate(context)

    def predict(self, params: PredictParams) -> PredictResult:
        """Classify images."""
        return self._inference.predict(params)

    def export(self, context: ExportContext) -> ExportResult:
        """Write a checkpoint's model as ONNX or TorchScript."""
        return self._inference.export(context)
