"""The training loop: any model, any task; stoppable at every batch, resumable at every batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn
from torch.utils import deterministic

from visiontrain.errors import RunFailedError
from visiontrain.protocol.messages import TrainResult
from visiontrain.torchkit.learning import BatchSource, Evaluation, Learner
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.state import CheckpointKeeper, Position
from visiontrain.worker.context import RunContext

__all__ = ["LoopSettings", "TrainingLoop"]

#: Seconds between two looks at the running loss: each makes a GPU's queue run empty.
LOOK_SECONDS = 0.25

B = TypeVar("B")


@dataclass(frozen=True)
class LoopSettings:
    """How the loop runs.

    Args:
        epochs: To be done in all.
        learning_rate: The highest of the schedule, for advice.
        primary_metric: Name of the number that picks the best epoch; higher is better.
        precision: Of forward pass and loss.
        clip_grad: Largest norm of all gradients together; 0 leaves them as they are.
        checkpoint_minutes: Within an epoch, write last.pt this often.
    """

    epochs: int
    learning_rate: float
    primary_metric: str
    precision: Precision
    clip_grad: float = 0.0
    checkpoint_minutes: float = 10.0


class TrainingLoop(Generic[B]):
    """One run's epochs.

    Args:
        context: The run.
        learner: What is trained.
        train: Training batches.
        val: Validation batches.
        optimizer: Steps after every batch.
        schedule: Learning rate by optimizer step, counted from 0; a pure function.
        keeper: Writes and restores checkpoints.
        settings: How it runs.
        device: Where the model is.
    """

    def __init__(
        self,
        *,
        context: RunContext,
        learner: Learner[B],
        train: BatchSource[B],
        val: BatchSource[B],
        optimizer: torch.optim.Optimizer,
        schedule: Callable[[int], float],
        keeper: CheckpointKeeper,
        settings: LoopSettings,
        device: torch.device,
    ) -> None:
        self._context, self._learner, self._train, self._val = context, learner, train, val
        self._optimizer, self._schedule, self._keeper = optimizer, schedule, keeper
        self._settings, self._device = settings, device
        self._saved_at = time.monotonic()

    def run(self) -> TrainResult:
        """Train until all epochs are done or a stop is asked for, which leaves last.pt where it was.

        Raises:
            RunFailedError: the training loss is no longer a number, or no checkpoint could be read.
        """
        try:
            with _deterministic(self._device):
                return self._run(self._keeper.restore(self._train.batches))
        finally:
            self._train.close()
            self._val.close()

    def _run(self, at: Position) -> TrainResult:
        while at.epoch < self._settings.epochs:
            if not self._train_epoch(at):
                return self._stop(at)
            self._keeper.pin_rng()
            evaluation = self._validate(at)
            if evaluation is None:
                return self._stop(at)
            self._finish_epoch(at, evaluation)
        return self._result("completed", at)

    def _stop(self, at: Position) -> TrainResult:
        self._save(at)
        return self._result("stopped", at)

    def _result(self, status: str, at: Position) -> TrainResult:
        epochs = at.epoch + at.batch / self._train.batches
        return TrainResult("stopped" if status == "stopped" else "completed", epochs, {**at.best})

    def _train_epoch(self, at: Position) -> bool:
        """Train on what is left of the epoch. False where a stop came first."""
        if at.batch == self._train.batches:
            return True
        if self._context.stop_requested:
            return False
        meter = _Meter(at, self._device)
        self._learner.model.train()
        for batch in self._train.epoch(at.epoch, at.batch):
            if self._context.stop_requested:
                meter.read()
                return False
            meter.add(*self._step(batch, at.step))
            at.batch += 1
            at.step += 1
            last = at.batch == self._train.batches
            if at.batch == 1 or last or meter.due():
                self._look(at, meter)
            if not last and time.monotonic() - self._saved_at >= 60 * self._settings.checkpoint_minutes:
                meter.read()
                self._refuse_non_finite(at)
                self._save(at)
        return True

    def _step(self, batch: B, step: int) -> tuple[torch.Tensor, int]:
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule(step)
        with autocast(self._device, self._settings.precision):
            loss, images = self._learner.loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._settings.clip_grad > 0:
            nn.utils.clip_grad_norm_(self._learner.model.parameters(), self._settings.clip_grad)
        self._optimizer.step()
        return loss.detach(), images

    def _look(self, at: Position, meter: _Meter) -> None:
        meter.read()
        self._refuse_non_finite(at)
        self._context.progress(
            "train",
            epoch=at.epoch + 1,
            epochs=self._settings.epochs,
            step=at.batch,
            steps=self._train.batches,
            values=self._training_values(at),
        )

    def _training_values(self, at: Position) -> dict[str, float]:
        return {
            "train_loss": at.loss_sum / max(1, at.images),
            "learning_rate": self._schedule(max(0, at.step - 1)),
            "images_per_second": at.images / at.seconds if at.seconds > 0 else 0.0,
        }

    def _validate(self, at: Position) -> Evaluation[B] | None:
        """Evaluate the model. None where a stop came first: the whole pass is then done again when resuming."""
        evaluation = self._learner.evaluation()
        self._learner.model.eval()
        with torch.inference_mode(), autocast(self._device, self._settings.precision):
            if self._context.stop_requested:
                return None
            for done, batch in enumerate(self._val.epoch(at.epoch), start=1):
                if self._context.stop_requested:
                    return None
                evaluation.update(batch)
                self._context.progress(
                    "val", epoch=at.epoch + 1, epochs=self._settings.epochs, step=done, steps=self._val.batches
                )
        return evaluation

    def _finish_epoch(self, at: Position, evaluation: Evaluation[B]) -> None:
        epoch = at.epoch + 1
        row = {**self._training_values(at), **evaluation.compute()}
        self._context.metrics(row, step=at.step, epoch=epoch)
        if not math.isfinite(row["val_loss"]):
            self._context.log(f"Epoch {epoch}: the validation loss is not a number. {self._advice()}", level="warning")
        name = self._settings.primary_metric
        if not at.best or _is_better(row[name], at.best[name]):
            at.best, at.best_epoch = row, epoch
            self._keeper.save_best(at)
            for path, kind in evaluation.write_artifacts(self._context.artifacts_dir, epoch=epoch):
                self._context.artifact(path, kind=kind)
        at.next_epoch()
        self._save(at)

    def _save(self, at: Position) -> None:
        self._refuse_non_finite(at)
        self._keeper.save_last(at, self._train.batches)
        self._saved_at = time.monotonic()

    def _refuse_non_finite(self, at: Position) -> None:
        if math.isfinite(at.loss_sum):
            return
        self._context.metrics(self._training_values(at), step=at.step, epoch=at.epoch + 1)
        raise RunFailedError(
            f"the training loss is not a number any more, in epoch {at.epoch + 1} at step {at.step}",
            instruction=f"{self._advice()} The last checkpoint is from before and intact.",
        )

    def _advice(self) -> str:
        lower = f"Try a lower learning rate (--lr {self._settings.learning_rate / 10:.1g})"
        if self._settings.precision != "fp32":
            return f"{lower} or --set precision=fp32."
        return f"{lower} or --set clip_grad=1."


def _is_better(new: float, old: float) -> bool:
    """Whether `new` is higher; anything is better than NaN, and NaN than nothing."""
    return not math.isnan(new) and (math.isnan(old) or new > old)


class _Meter:
    """Adds up losses on the device, and brings the sum to the host only when asked."""

    def __init__(self, at: Position, device: torch.device) -> None:
        self._at = at
        dtype = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
        self._sum = torch.tensor(at.loss_sum, dtype=dtype, device=device)
        self._since = self._looked = time.perf_counter()

    def add(self, loss: torch.Tensor, images: int) -> None:
        self._sum += loss.to(self._sum.dtype) * images
        self._at.images += images

    def due(self) -> bool:
        return time.perf_counter() - self._looked >= LOOK_SECONDS

    def read(self) -> None:
        self._at.loss_sum = self._sum.item()
        self._looked = time.perf_counter()
        self._at.seconds += self._looked - self._since
        self._since = self._looked


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Let sums on the CPU be made in one order: some of its kernels add from several threads as they come."""
    if device.type != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = deterministic  # its attributes are properties that type checkers do not see
    filling = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    memory.fill_uninitialized_memory = False  # costs time, and no kernel here reads what it did not write
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filling
