"""A training loop for trainers without torch: shuffling, stopping, exact resuming, metrics and the best epoch."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visiontrain.errors import DatasetError, RunFailedError
from visiontrain.protocol.messages import TrainResult
from visiontrain.protocol.tasks import Task, primary_metric
from visiontrain.worker.context import RunContext
from visiontrain.worker.state import Keeper, Position, Write, is_better

__all__ = ["Batch", "train_in_epochs"]

#: Depends on when it is measured: it is told, and not kept.
_SPEED = "images_per_second"


@dataclass(frozen=True)
class Batch:
    """Images to learn from in one step.

    Args:
        positions: Where they are in the training split; shuffled anew each epoch.
        epoch: The epoch, counted from 1.
        step: Steps done before this one. With `params.seed` it makes random numbers that a resumed run has again.
    """

    positions: list[int]
    epoch: int
    step: int


def train_in_epochs(
    context: RunContext,
    state: dict[str, Any],
    learn: Callable[[Batch], float],
    validate: Callable[[], Mapping[str, float]],
    *,
    suffix: str,
    write: Write,
    read: Callable[[Path], Mapping[str, Any]],
    conditions: Mapping[str, object] | None = None,
    checkpoint_minutes: float = 10.0,
) -> TrainResult:
    """Train for `context.params.epochs` epochs, or until a stop is asked for.

    Looks for stops before each batch and before each validation, tells progress, each epoch's metrics (with
    ``train_loss`` and ``images_per_second``) and the best epoch, writes the checkpoints last, previous and best, and
    goes on from one of them where the request says so. Resuming is exact when all that `learn` depends on is in
    `state`, or follows from the request and the batch.

    Args:
        context: The run.
        state: Weights, moments and the like, by name. `learn` changes it; a resumed run's values are put into it.
        learn: Makes one step; gives the mean loss of the batch's images.
        validate: Gives an epoch's metrics under their canonical names, the task's primary metric among them.
        suffix: What names of checkpoints end with, such as ``.npz``.
        write: Writes `state`, and a text that is called ``position``, into a file: `numpy.savez`.
        read: Reads what `write` wrote, by name: `numpy.load`.
        conditions: What else must be equal for a resumed run to be exact, by what it is called: versions, or the number
            of epochs where a schedule is laid out for it.
        checkpoint_minutes: Within an epoch, write a checkpoint this often.

    Returns:
        What `Trainer.train` has to give: the metrics are the best epoch's.

    Raises:
        DatasetError: there is nothing to train or to validate on.
        RunFailedError: the training loss is no longer a number, or no checkpoint can be read.
        StorageError: the disk did not take a checkpoint.
        ValueError: `validate` left the primary metric out, or `state` has a value called ``position``.
    """
    keeper = Keeper(context, state, suffix=suffix, write=write, read=read, conditions=conditions or {})
    return _Loop(context, keeper, learn, validate, 60 * checkpoint_minutes).run()


class _Loop:
    """One run's epochs."""

    def __init__(
        self,
        context: RunContext,
        keeper: Keeper,
        learn: Callable[[Batch], float],
        validate: Callable[[], Mapping[str, float]],
        save_every: float,
    ) -> None:
        self._context, self._keeper, self._learn, self._validate = context, keeper, learn, validate
        self._params, data = context.params, context.dataset
        for split in ("train", "val"):
            if not data.splits.get(split):
                raise DatasetError(f"the data has no images in its split {split}")
        self._images = data.splits["train"]
        self._batches = -(-self._images // self._params.batch_size)
        self._primary = primary_metric(Task(self._params.task), multi_label=data.multi_label)
        self._save_every = save_every
        self._saved_at = time.monotonic()

    def run(self) -> TrainResult:
        at = self._keeper.restore(self._batches)
        while at.epoch < self._params.epochs:
            if not self._finish_epoch(at):
                self._keeper.save_last(at, self._batches)
                return TrainResult("stopped", at.epoch + at.batch / self._batches, dict(at.best))
        return TrainResult("completed", at.epoch, dict(at.best))

    def _finish_epoch(self, at: Position) -> bool:
        """Do what is left of an epoch. False where a stop came first."""
        epoch, epochs = at.epoch + 1, self._params.epochs
        # Of seed and epoch alone: a resumed run shuffles as an uninterrupted one does.
        order = list(range(self._images))
        random.Random(f"{self._params.seed}/{epoch}").shuffle(order)  # noqa: S311 - not for secrets
        size, before, began = self._params.batch_size, at.batch, time.perf_counter()
        while at.batch < self._batches:
            if self._context.stop_requested:
                return False
            batch = Batch(order[at.batch * size : (at.batch + 1) * size], epoch, at.step)
            at.loss_sum += self._loss(batch) * len(batch.positions)
            at.batch, at.step = at.batch + 1, at.step + 1
            self._context.progress("train", epoch=epoch, epochs=epochs, step=at.batch, steps=self._batches)
            if at.batch < self._batches and time.monotonic() - self._saved_at >= self._save_every:
                self._save(at)
        speed = (min(at.batch * size, self._images) - before * size) / max(time.perf_counter() - began, 1e-9)
        if self._context.stop_requested:
            return False
        row = {"train_loss": at.loss_sum / self._images, **self._validated()}
        measured = {_SPEED: speed} if before < self._batches else {}
        self._context.metrics({**measured, **row}, step=at.step, epoch=epoch)
        if not at.best or is_better(row[self._primary], at.best[self._primary]):
            at.best, at.best_epoch = row, epoch
            self._keeper.save_best(at)
        at.epoch, at.batch, at.loss_sum = epoch, 0, 0.0
        self._save(at)
        return True

    def _loss(self, batch: Batch) -> float:
        loss = float(self._learn(batch))
        if not math.isfinite(loss):
            raise RunFailedError(
                f"the training loss is not a number any more, in epoch {batch.epoch} at step {batch.step + 1}",
                instruction="Try a lower learning rate: --lr.",
            )
        return loss

    def _validated(self) -> dict[str, float]:
        values = {name: float(value) for name, value in self._validate().items()}
        if self._primary not in values:
            raise ValueError(f"validate() gave no {self._primary}, which tells what epoch is the best")
        return values

    def _save(self, at: Position) -> None:
        self._keeper.save_last(at, self._batches)
        self._saved_at = time.monotonic()
