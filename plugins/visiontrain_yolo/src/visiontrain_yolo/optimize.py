"""The optimizer, what its steps are made of, and the average that follows them: as Ultralytics trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from torch import nn
from ultralytics.engine.trainer import BaseTrainer

from visiontrain.protocol.messages import TrainParams
from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.updates import Updates
from visiontrain_yolo.options import OPTIMIZERS, YoloOptions
from visiontrain_yolo.plan import Plan

__all__ = ["Choice", "YoloAverage", "YoloUpdates", "build_optimizer", "choose"]

#: From how many steps on Ultralytics takes MuSGD by itself.
_MANY_STEPS = 10_000
_NOMINAL = 64

_MOMENTUM = 0.937
_AUTO_MOMENTUM = 0.9
_WARMUP_MOMENTUM = 0.8
_WARMUP_BIAS = 0.1

#: Those that torch computes in one pass over all weights: of YOLO26n AdamW's 366 tensors in 3 ms instead of 10.
_FUSED = ("adam", "adamw", "sgd")

_RATES = {"sgd": 0.01, "musgd": 0.01}
_RATE = 0.001

#: Steps in which the average's decay grows to two thirds of what it will be.
_AVERAGE_STEPS = 2000


@dataclass(frozen=True)
class Choice:
    """What the optimizer is, all of it decided.

    Args:
        optimizer: Our name of it.
        learning_rate: The highest.
        momentum: After warmup.
        warmup_momentum: What warmup begins with.
        warmup_bias_lr: The biases' learning rate that warmup begins with.
    """

    optimizer: str
    learning_rate: float
    momentum: float
    warmup_momentum: float
    warmup_bias_lr: float


def choose(
    params: TrainParams, options: YoloOptions, *, images: int, classes: int, log: Callable[[str], None]
) -> Choice:
    """Decide what was left open; what is taken is said.

    Args:
        params: The request.
        options: Its options.
        images: Of the training split.
        classes: How many there are.
        log: Takes a sentence for the person.
    """
    name, auto = options.optimizer, options.optimizer == "auto"
    rate = params.learning_rate
    if auto:
        steps = math.ceil(images / max(params.batch_size, _NOMINAL)) * params.epochs
        name = "musgd" if steps > _MANY_STEPS else "adamw"
        default = _RATES["musgd"] if name == "musgd" else round(0.002 * 5 / (4 + classes), 6)
    else:
        default = _RATES.get(name, _RATE)
    if auto or rate is None:
        said = f"{name} for {steps:,} steps" if auto else name
        log(f"Optimizer {said}, learning rate {default if rate is None else rate:.2g}.")
    return Choice(
        optimizer=name,
        learning_rate=default if rate is None else rate,
        momentum=_given(options.momentum, _AUTO_MOMENTUM if auto else _MOMENTUM),
        warmup_momentum=_given(options.warmup_momentum, _WARMUP_MOMENTUM),
        warmup_bias_lr=_given(options.warmup_bias_lr, 0.0 if auto else _WARMUP_BIAS),
    )


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def build_optimizer(model: nn.Module, choice: Choice, weight_decay: float) -> torch.optim.Optimizer:
    """Ultralytics' optimizer with its groups of parameters; ``lr_scale`` is each one's share of the learning rate."""
    build: Any = BaseTrainer.build_optimizer  # uses no more of a trainer than what is given here
    made: torch.optim.Optimizer = build(
        None,
        model,
        name=OPTIMIZERS[choice.optimizer],
        lr=choice.learning_rate,
        momentum=choice.momentum,
        decay=weight_decay,
    )
    for group in made.param_groups:
        group["lr_scale"] = group["lr"] / choice.learning_rate
        if choice.optimizer in _FUSED:
            group["fused"] = True
    return made


class YoloUpdates(Updates):
    """Ultralytics' steps: warmup of learning rates, momentum and accumulation; gradients are sums.

    Args:
        model: Whose parameters the optimizer holds.
        optimizer: From `build_optimizer`.
        plan: Which batches make which step.
        choice: The learning rates and momentums.
        factor: Share of the learning rate by epoch, counted from 0.
        clip_grad: Largest norm of the gradients of a step; 0 leaves them.
        per_image: They are sums over images, as YOLO's; else over batches, as RT-DETR's.
        average: Follows each step.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        plan: Plan,
        choice: Choice,
        factor: Callable[[int], float],
        clip_grad: float,
        per_image: bool,
        average: WeightAverage | None,
    ) -> None:
        super().__init__(model, optimizer, self._rate, accumulate=plan.accumulate, clip_grad=clip_grad, average=average)
        self._plan, self._choice, self._factor, self._per_image = plan, choice, factor, per_image

    def batches_of(self, step: int) -> int:
        """Fewer during warmup."""
        return self._plan.at(step).batches

    def weight(self, images: int, batches: int) -> float:
        """Makes sums of means."""
        return images if self._per_image else batches

    def prepare(self, step: int) -> None:
        """Set each group's learning rate and momentum."""
        done = self._plan.warmed(step)
        for group in self._optimizer.param_groups:
            start = self._choice.warmup_bias_lr if group.get("param_group") == "bias" else 0.0
            target = self._choice.learning_rate * group["lr_scale"] * self._factor(self._plan.at(step).epoch)
            group["lr"] = start + (target - start) * done
            if "momentum" in group:
                first = self._choice.warmup_momentum
                group["momentum"] = first + (self._choice.momentum - first) * done

    def _rate(self, step: int) -> float:
        return self._choice.learning_rate * self._factor(self._plan.at(step).epoch) * self._plan.warmed(step)


class YoloAverage(WeightAverage):
    """Ultralytics' average of the weights: its decay grows with ``1 - exp(-step / 2000)``."""

    def decay(self, step: int) -> float:
        """Share of the average that is kept after optimizer step `step`, counted from 0."""
        return self._decay * (1 - math.exp(-(step + 1) / _AVERAGE_STEPS))
