"""The learning rate, its schedule, and what an optimizer is given, out of the options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.optimizers import OPTIMIZERS, Start
from visiontrain.hyperparameters.training import TrainingOptions
from visiontrain.protocol.messages import TrainParams
from visiontrain.torchkit.schedule import Schedule, Shape

__all__ = ["build_schedule", "choose_learning_rate", "optimizer_arguments", "parameter_groups"]

_LONGEST_WARMUP = 5
_FINAL_RATE = 0.01
_DECAY_FACTOR = 0.1
_BETAS = (0.9, 0.999)
_LION_BETAS = (0.9, 0.99)
_MOMENTUM = 0.9

#: Optimizers of torch's that have an implementation in one kernel.
_FUSED = ("adam", "adamw", "sgd")

_SHAPES: dict[str, Shape] = {
    "cosine": "cosine",
    "linear": "linear",
    "step": "steps",
    "multistep": "steps",
    "constant": "constant",
}


def choose_learning_rate(
    params: TrainParams,
    options: TrainingOptions,
    model: nn.Module,
    log: Callable[[str], None],
    *,
    start: Start | None = None,
) -> float:
    """The highest learning rate: the one asked for, or the default, which is said.

    Args:
        params: The request.
        options: Its options.
        model: What is trained.
        log: Takes a sentence for the person.
        start: What is usual with the task; None: what is usual with the optimizer.
    """
    if params.learning_rate is not None:
        return params.learning_rate
    usual = OPTIMIZERS[options.optimizer]
    start = usual.start if start is None else start
    if params.weights.source != "scratch":
        base, what = start.fine_tuning, "trained weights"
    elif any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):  # noqa: SLF001
        base, what = start.scratch_batch_norm, "random weights and batch norm"
    else:
        base, what = start.scratch, "random weights without batch norm"
    rate = base * usual.scale(params.batch_size * options.accumulate)
    times = f" x {options.accumulate}" if options.accumulate > 1 else ""
    log(f"Learning rate {rate:.2g}: {options.optimizer}'s default for {what} at batch size {params.batch_size}{times}.")
    return rate


def build_schedule(epochs: int, steps_of_epoch: int, learning_rate: float, options: TrainingOptions) -> Schedule:
    """The learning rate by optimizer step.

    Raises:
        SpecError: an epoch of the schedule is not within the run.
    """
    warmup = min(_LONGEST_WARMUP, epochs / 10) if options.warmup_epochs is None else options.warmup_epochs
    if warmup > epochs:
        raise SpecError("warmup_epochs", f"must be at most the {epochs} epochs of the run, not {warmup:g}")
    drops = options.drops(epochs)
    if options.decay_epochs is not None and (not drops or drops[-1] >= epochs):
        raise SpecError("decay_epochs", f"must be below the {epochs} epochs of the run, not {options.decay_epochs}")
    return Schedule(
        learning_rate,
        steps=epochs * steps_of_epoch,
        warmup=round(warmup * steps_of_epoch),
        shape=_SHAPES[options.schedule],
        final=_FINAL_RATE if options.final_rate is None else options.final_rate,
        drops=tuple(round(epoch * steps_of_epoch) for epoch in drops),
        factor=_DECAY_FACTOR if options.decay_factor is None else options.decay_factor,
    )


def optimizer_arguments(options: TrainingOptions) -> dict[str, Any]:
    """What an optimizer is built with beside parameters and learning rate: ``momentum``, ``betas``, ``fused``."""
    arguments: dict[str, Any] = {}
    usual = OPTIMIZERS[options.optimizer]
    if usual.momentum:
        arguments["momentum"] = _MOMENTUM if options.momentum is None else options.momentum
    if options.optimizer == "sgd":
        arguments["nesterov"] = arguments["momentum"] > 0  # torch refuses it without momentum
    if usual.betas:
        betas = _LION_BETAS if options.optimizer == "lion" else _BETAS
        arguments["betas"] = (
            betas[0] if options.beta1 is None else options.beta1,
            betas[1] if options.beta2 is None else options.beta2,
        )
    if options.optimizer in _FUSED:
        arguments["fused"] = True
    return arguments


def parameter_groups(
    model: nn.Module,
    options: TrainingOptions,
    *,
    layers: Mapping[str, int],
    without_decay: Collection[str] = (),
    shares: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Trained parameters by layer, and by whether they have weight decay: biases, norms and `without_decay` have none.

    The same groups whatever the weight decay, so that a resumed run may have another. A group's ``lr_scale`` is applied
    by `visiontrain.torchkit.updates`.

    Args:
        model: Whose they are.
        options: The request's.
        layers: The number of each parameter's layer, from 0 at the image to the classifier; others are of the last one.
        without_decay: Names of parameters and patterns of them.
        shares: Of the learning rate, by a parameter's name; 1 of others.
    """
    last = max(layers.values(), default=0)
    groups: dict[tuple[int, float, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = layers.get(name, last)
        exempt = any(fnmatchcase(name, pattern) for pattern in without_decay)
        decays = parameter.ndim > 1 and not name.endswith(".bias") and not exempt
        share = (shares or {}).get(name, 1.0)
        group = groups.setdefault(
            (layer, share, decays),
            {
                "params": [],
                "weight_decay": options.weight_decay if decays else 0.0,
                "lr_scale": share * options.layer_decay ** (last - layer),
            },
        )
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]
