"""The batch size where a person leaves it to the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.protocol.messages import TrainParams
from visiontrain.torchkit.autobatch import by_memory, by_speed, largest_batch
from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.checkpoint import read_first
from visiontrain.torchkit.learning import Batch, Learner
from visiontrain.torchkit.memory import room
from visiontrain.torchkit.precision import Precision
from visiontrain.torchkit.rehearsal import Rehearsal
from visiontrain.torchkit.updates import Updates
from visiontrain.torchkit.vision_task import Setup

__all__ = ["choose_batch_size"]

B = TypeVar("B", bound=Batch)


def choose_batch_size(
    setup: Setup[ModelOptions],
    learner: Learner[B],
    *,
    make_batch: Callable[[int], B],
    optimizer: Callable[[], torch.optim.Optimizer],
    precision: Precision,
    log: Callable[[str], None],
) -> int:
    """The batch size that was asked for, or the one that the run had before it was resumed, or one that is found.

    Args:
        setup: The training.
        learner: What is trained.
        make_batch: Makes a batch of so many images, as the training's loader would.
        optimizer: Makes one like the run's.
        precision: Of forward pass and loss.
        log: Takes a sentence for the person.

    Raises:
        RunFailedError: there is no memory for a single image, or no checkpoint can be read.
    """
    params, options, device = setup.params, setup.options, setup.device
    if not params.auto_batch_size:
        return params.batch_size
    kept = _kept(params)
    if kept is not None:
        log(f"Batch size {kept}, as it was found when the run began.")
        return kept

    def make_updates() -> Updates:
        average = WeightAverage(learner.model, options.ema_decay) if options.ema_decay > 0 else None
        accumulate = min(2, options.accumulate)  # sums are kept from the second batch on
        return Updates(
            learner.model,
            optimizer(),
            lambda _: 0.0,
            accumulate=accumulate,
            clip_grad=options.clip_grad or 0.0,
            average=average,
        )

    train = setup.data.splits["train"]
    limit = largest_batch(train, params.batch_size)
    with Rehearsal(learner, make_updates, make_batch, precision=precision, device=device) as rehearsal:
        there = room(device)
        if device.type == "cpu":
            found = by_speed(rehearsal.try_out, room=there, limit=limit, usual=params.batch_size, images=train)
        else:
            found = by_memory(rehearsal.try_out, room=there, limit=limit, images=train)
    log(f"Batch size {found.images}, found for {device}: {found.why}.")
    return found.images


def _kept(params: TrainParams) -> int | None:
    checkpoints = [Path(path) for path in params.resume.checkpoints] if params.resume else []
    found = read_first(checkpoints, warn=lambda _: None)  # told when the run goes on from it
    if found is None:
        return None
    size: int = found[1]["identity"]["batch_size"]
    return size
