"""The trainer of Hugging Face transformers: what runs inside the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version

from visiontrain_hf.build import build_model, rebuild_model  # isort: skip - the hub's variables first

import torch
from torch import nn

from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.messages import ModelInfo, TrainParams, TrainResult
from visiontrain.torchkit.device import describe_cpu, describe_devices
from visiontrain.torchkit.framework import Built
from visiontrain.torchkit.freezing import parameters_to_freeze
from visiontrain.torchkit.inference import Inference
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.training import train
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description
from visiontrain_hf.kinds import HfModel
from visiontrain_hf.layers import stages_of
from visiontrain_hf.lora import merge_lora
from visiontrain_hf.names import PRESETS, PUBLISHED
from visiontrain_hf.optimize import build_optimizer
from visiontrain_hf.options import HfOptions
from visiontrain_hf.tasks import TASKS

__all__ = ["HfTrainer", "Transformers"]


class Transformers:
    """transformers' models, as `visiontrain.torchkit.framework.Framework` has them."""

    name = "hf"
    packages = ("transformers", "torch", "torchvision", "torchmetrics", "peft", "pillow", "numpy")
    options = HfOptions

    def build(
        self, params: TrainParams, options: HfOptions, classes: tuple[str, ...], log: Callable[[str], None]
    ) -> Built:
        """By the model's name."""
        return build_model(params, options, classes, log)

    def rebuild(self, saved: SavedModel, options: HfOptions, *, exportable: bool = False) -> nn.Module:  # noqa: ARG002 - all are
        """As the checkpoint says."""
        return rebuild_model(saved, options)

    def make_ready(self, model: nn.Module) -> None:
        """LoRA's additions become part of the weights."""
        merge_lora(_ours(model).network)
        _ours(model).leave_out_what_only_training_needs()

    def parameters_to_freeze(self, model: nn.Module, text: str) -> list[str]:
        """By the network's own lists of layers."""
        ours = _ours(model)
        names = [name for name, _ in ours.network.named_parameters()]
        rest = tuple(f"network.{name}" for name in names if not ours.in_backbone(name))

        def stages() -> dict[str, int]:
            return {f"network.{name}": number for name, number in stages_of(ours.network, ours.heads).items()}

        return parameters_to_freeze(model, text, heads=rest, stages_of=stages)

    def optimizer(self, model: nn.Module, learning_rate: float, options: HfOptions) -> torch.optim.Optimizer:
        """torch's."""
        return build_optimizer(_ours(model), learning_rate, options)


class HfTrainer:
    """Trains models of transformers, and uses what it trained."""

    def __init__(self) -> None:
        self._transformers = Transformers()
        self._inference = Inference(self._transformers, TASKS)

    def describe(self) -> Description:
        """Versions and devices."""
        return Description({name: version(name) for name in Transformers.packages}, describe_devices(), describe_cpu())

    def models(self) -> Iterator[ModelInfo]:
        """The presets, and models on the hub that people begin with."""
        for name, tasks in (PRESETS | PUBLISHED).items():
            yield ModelInfo(name, tuple(map(str, tasks)))

    def train(self, context: RunContext) -> TrainResult:
        """Train a model."""
        return train(context, self._transformers, TASKS)

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """Evaluate a checkpoint."""
        return self._inference.evaluate(context)

    def predict(self, params: PredictParams) -> PredictResult:
        """Say what is in images."""
        return self._inference.predict(params)

    def export(self, context: ExportContext) -> ExportResult:
        """Write a checkpoint's model as ONNX or TorchScript."""
        return self._inference.export(context)


def _ours(model: nn.Module) -> HfModel:
    """A model that `Transformers.build` or `Transformers.rebuild` gave."""
    if not isinstance(model, HfModel):
        raise TypeError(f"{type(model).__name__} is no model of this plugin")
    return model
