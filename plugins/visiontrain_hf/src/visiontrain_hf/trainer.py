"""The trainer of Hugging Face transformers: what runs inside the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version

from visiontrain_hf.build import build_classifier, rebuild_classifier  # isort: skip - the hub's variables first

import torch
from torch import nn

from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.messages import ModelInfo, TrainParams, TrainResult
from visiontrain.torchkit.classification.framework import Built
from visiontrain.torchkit.classification.inference import ClassifierInference
from visiontrain.torchkit.classification.training import train_classifier
from visiontrain.torchkit.device import describe_cpu, describe_devices
from visiontrain.torchkit.freezing import parameters_to_freeze
from visiontrain.torchkit.loading import SavedModel
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description
from visiontrain_hf.classifier import head_of
from visiontrain_hf.layers import stages_of
from visiontrain_hf.lora import merge_lora
from visiontrain_hf.names import PRESETS, PUBLISHED
from visiontrain_hf.optimize import build_optimizer
from visiontrain_hf.options import HfOptions

__all__ = ["HfTrainer", "Transformers"]


class Transformers:
    """transformers' classifiers, as `visiontrain.torchkit.classification.framework.ClassifierFramework` has them."""

    name = "hf"
    packages = ("transformers", "torch", "torchvision", "torchmetrics", "peft", "pillow", "numpy")
    options = HfOptions

    def build(
        self, params: TrainParams, options: HfOptions, classes: tuple[str, ...], log: Callable[[str], None]
    ) -> Built:
        """By the model's name."""
        return build_classifier(params, options, classes, log)

    def rebuild(self, saved: SavedModel, *, exportable: bool = False) -> nn.Module:  # noqa: ARG002 - all are
        """As the checkpoint says."""
        return rebuild_classifier(saved)

    def make_ready(self, model: nn.Module) -> None:
        """LoRA's additions become part of the weights."""
        merge_lora(model.get_submodule("network"))

    def parameters_to_freeze(self, model: nn.Module, text: str) -> list[str]:
        """By the network's own lists of layers."""
        network = model.get_submodule("network")
        head = head_of(network)

        def stages() -> dict[str, int]:
            return {f"network.{name}": number for name, number in stages_of(network, head).items()}

        return parameters_to_freeze(model, text, heads=(f"network.{head}",), stages_of=stages)

    def optimizer(self, model: nn.Module, learning_rate: float, options: HfOptions) -> torch.optim.Optimizer:
        """torch's."""
        return build_optimizer(model, learning_rate, options)


class HfTrainer:
    """Trains image classifiers of transformers, and uses what it trained."""

    def __init__(self) -> None:
        self._transformers = Transformers()
        self._inference = ClassifierInference(self._transformers)

    def describe(self) -> Description:
        """Versions and devices."""
        return Description({name: version(name) for name in Transformers.packages}, describe_devices(), describe_cpu())

    def models(self) -> Iterator[ModelInfo]:
        """The presets, and models on the hub that people begin with."""
        for name, tasks in (PRESETS | PUBLISHED).items():
            yield ModelInfo(name, tuple(map(str, tasks)))

    def train(self, context: RunContext) -> TrainResult:
        """Train a classifier."""
        return train_classifier(context, self._transformers)

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """Evaluate a checkpoint."""
        return self._inference.evaluate(context)

    def predict(self, params: PredictParams) -> PredictResult:
        """Classify images."""
        return self._inference.predict(params)

    def export(self, context: ExportContext) -> ExportResult:
        """Write a checkpoint's model as ONNX or TorchScript."""
        return self._inference.export(context)
