"""The training loop: any model, any task; stoppable at every batch, resumable at every batch."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch

from visiontrain.errors import RunFailedError
from visiontrain.protocol.messages import TrainResult
from visiontrain.torchkit.determinism import deterministic
from visiontrain.torchkit.estimating import Estimates
from visiontrain.torchkit.freezing import begin_training
from visiontrain.torchkit.learning import Batch, BatchSource, Evaluation, Learner, TellsLosses
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.shortage import release_memory
from visiontrain.torchkit.state import CheckpointKeeper, Position
from visiontrain.torchkit.steps import Steps
from visiontrain.torchkit.updates import Updates
from visiontrain.worker.context import RunContext
from visiontrain.worker.state import is_better

__all__ = ["LoopSettings", "TrainingLoop"]

#: Seconds between two looks at the running loss: each makes a GPU's queue run empty.
LOOK_SECONDS = 0.25

B = TypeVar("B", bound=Batch)


@dataclass(frozen=True)
class LoopSettings:
    """How the loop runs.

    Args:
        epochs: To be done in all.
        learning_rate: The highest of the schedule, for advice.
        primary_metric: Name of the number that picks the best epoch.
        precision: Of forward pass and loss.
        lower_is_better: Of the primary metric.
        patience: Epochs without a better one after which the run ends; 0: it never does for that.
        checkpoint_minutes: Within an epoch, write last.pt this often.
    """

    epochs: int
    learning_rate: float
    primary_metric: str
    precision: Precision
    lower_is_better: bool = False
    patience: int = 0
    checkpoint_minutes: float = 10.0


class TrainingLoop(Generic[B]):
    """One run's epochs.

    Args:
        context: The run.
        learner: What is trained.
        train: Training batches.
        val: Validation batches.
        updates: Makes new weights of losses.
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
        updates: Updates,
        keeper: CheckpointKeeper,
        settings: LoopSettings,
        device: torch.device,
    ) -> None:
        self._context, self._learner, self._train, self._val = context, learner, train, val
        self._updates, self._keeper = updates, keeper
        self._settings, self._device = settings, device
        self._steps = Steps(
            learner, updates, precision=settings.precision, device=device, warn=partial(context.log, level="warning")
        )
        self._estimates = Estimates(
            context,
            epochs=settings.epochs,
            train_batches=train.batches,
            val_batches=val.batches,
            ahead=train.ahead,
            checkpoint_bytes=keeper.size(),
            device=device,
        )
        self._saved_at = time.monotonic()

    def run(self) -> TrainResult:
        """Train until all epochs are done or a stop is asked for, which leaves last.pt where it was.

        Raises:
            RunFailedError: the training loss or a weight is no longer a number, or no checkpoint could be read.
        """
        try:
            with deterministic(self._device):
                return self._run(self._keeper.restore(self._train.batches))
        finally:
            self._train.close()
            self._val.close()

    def _run(self, at: Position) -> TrainResult:
        while at.epoch < self._settings.epochs and not self._out_of_patience(at):
            self._estimates.begin_epoch(at)
            if not self._train_epoch(at):
                return self._stop(at)
            self._estimates.end_training(at)
            self._keeper.pin_rng()
            with self._updates.averaged():
                evaluation = self._validate(at)
                self._estimates.end_validation()
                if evaluation is not None:
                    self._record(at, evaluation)
            if evaluation is None:
                return self._stop(at)
            at.next_epoch()
            self._save(at)
            self._estimates.end_epoch(at)
        return self._result("completed", at)

    def _out_of_patience(self, at: Position) -> bool:
        patience, name = self._settings.patience, self._settings.primary_metric
        if not patience or not at.best or at.epoch - at.best_epoch < patience:
            return False
        self._context.log(
            f"Ended early, after epoch {at.epoch} of {self._settings.epochs}: {name} has not been better than epoch "
            f"{at.best_epoch}'s {at.best[name]:.4g} for {at.epoch - at.best_epoch} epochs."
        )
        return True

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
        begin_training(self._learner.model)
        for batch in self._train.epoch(at.epoch, at.batch):
            if self._context.stop_requested:
                meter.read()
                return False
            last = at.batch + 1 == self._train.batches
            loss = self._steps.learn(batch, at, last=last)
            at.batch += 1
            meter.add(loss, len(batch), self._loss_parts())
            if at.batch == 1 or last or meter.due():
                self._look(at, meter)
            if not last and time.monotonic() - self._saved_at >= 60 * self._settings.checkpoint_minutes:
                meter.read()
                self._save(at)
        self._refuse_diverged(at)  # its last step's outcome is in no training loss
        return True

    def _look(self, at: Position, meter: _Meter) -> None:
        meter.read()
        self._refuse_non_finite(at)
        self._estimates.look(at)
        self._context.progress(
            "train",
            epoch=at.epoch + 1,
            epochs=self._settings.epochs,
            step=at.batch,
            steps=self._train.batches,
            values=self._training_values(at),
        )

    def _loss_parts(self) -> Mapping[str, torch.Tensor]:
        return self._learner.loss_parts() if isinstance(self._learner, TellsLosses) else {}

    def _training_values(self, at: Position) -> dict[str, float]:
        images = max(1, at.images)
        return {
            "train_loss": at.loss_sum / images,
            **{f"train_{name}": value / images for name, value in at.loss_parts.items()},
            "learning_rate": self._updates.learning_rate(max(0, at.step - 1)),
            "images_per_second": at.images / at.seconds if at.seconds > 0 else 0.0,
        }

    def _validate(self, at: Position) -> Evaluation[B] | None:
        """Evaluate the model. None where a stop came first: the whole pass is then done again when resuming."""
        self._learner.model.eval()
        while True:
            images = 0
            try:
                evaluation = self._learner.evaluation()
                with torch.inference_mode(), autocast(self._device, self._settings.precision):
                    if self._context.stop_requested:
                        return None
                    for done, batch in enumerate(self._val.epoch(at.epoch), start=1):
                        if self._context.stop_requested:
                            return None
                        images = len(batch)
                        for part in self._steps.parts_for_validation(batch, at):
                            evaluation.update(part)
                        self._context.progress(
                            "val", epoch=at.epoch + 1, epochs=self._settings.epochs, step=done, steps=self._val.batches
                        )
            except Exception as error:
                if images == 0:
                    raise
                self._steps.shrink_validation(error, images, at)
            else:
                return evaluation
            del evaluation  # a batch may have been counted in part: the pass begins anew
            release_memory(self._device)

    def _record(self, at: Position, evaluation: Evaluation[B]) -> None:
        epoch = at.epoch + 1
        row = {**self._training_values(at), **evaluation.compute()}
        self._context.metrics(row, step=at.step, epoch=epoch)
        if not math.isfinite(row["val_loss"]):
            self._context.log(f"Epoch {epoch}: the validation loss is not a number. {self._advice()}", level="warning")
        name, sign = self._settings.primary_metric, -1 if self._settings.lower_is_better else 1
        if not at.best or is_better(sign * row[name], sign * at.best[name]):
            at.best, at.best_epoch = row, epoch
            self._keeper.save_best(at)
            for path, kind in evaluation.write_artifacts(self._context.artifacts_dir, epoch=epoch):
                self._context.artifact(path, kind=kind)

    def _save(self, at: Position) -> None:
        self._refuse_non_finite(at)
        self._refuse_diverged(at)
        self._keeper.save_last(at, self._train.batches)
        self._saved_at = time.monotonic()

    def _refuse_non_finite(self, at: Position) -> None:
        if not math.isfinite(at.loss_sum):
            self._context.metrics(self._training_values(at), step=at.step, epoch=at.epoch + 1)
            raise self._failure("the training loss is not a number any more", at)

    def _refuse_diverged(self, at: Position) -> None:
        if self._updates.diverged():
            raise self._failure("weights are not numbers any more", at)

    def _failure(self, reason: str, at: Position) -> RunFailedError:
        return RunFailedError(
            f"{reason}, in epoch {at.epoch + 1} at step {at.step}",
            instruction=f"{self._advice()} The last checkpoint is from before and intact.",
        )

    def _advice(self) -> str:
        lower = f"Try a lower learning rate (--lr {self._settings.learning_rate / 10:.1g})"
        if self._settings.precision != "fp32":
            return f"{lower} or --set precision=fp32."
        return f"{lower} or --set clip_grad=1."


class _Meter:
    """Adds up losses on the device, and brings the sum to the host only when asked."""

    def __init__(self, at: Position, device: torch.device) -> None:
        self._at = at
        dtype = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
        self._sum = torch.tensor(at.loss_sum, dtype=dtype, device=device)
        self._parts = {name: torch.tensor(part, dtype=dtype, device=device) for name, part in at.loss_parts.items()}
        self._since = self._looked = time.perf_counter()

    def add(self, loss: torch.Tensor, images: int, parts: Mapping[str, torch.Tensor]) -> None:
        self._sum += loss.to(self._sum.dtype) * images
        for name, part in parts.items():
            whole = part.to(self._sum.dtype) * images
            self._parts[name] = self._parts[name] + whole if name in self._parts else whole
        self._at.images += images

    def due(self) -> bool:
        return time.perf_counter() - self._looked >= LOOK_SECONDS

    def read(self) -> None:
        self._at.loss_sum = self._sum.item()
        self._at.loss_parts = {name: part.item() for name, part in self._parts.items()}
        self._looked = time.perf_counter()
        self._at.seconds += self._looked - self._since
        self._since = self._looked
