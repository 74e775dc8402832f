"""Tells how long a run will take, and how much memory: from its first steps, and again as more is known."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from visiontrain.torchkit.memory import memory_use
from visiontrain.torchkit.pace import Pace
from visiontrain.torchkit.state import Position
from visiontrain.worker.context import RunContext

__all__ = ["Estimates"]

#: Seconds: a run that is over sooner is not worth an estimate.
SHORTEST = 20.0
#: Seconds between two estimates at the least.
INTERVAL = 10.0
#: Share by which the rest has to differ from what was said for it to be said anew within an epoch.
_DRIFT = 0.2


class Estimates:
    """Follows a training loop, and reports an estimate when there is a first one, when it changes, and each epoch.

    Args:
        context: The run.
        epochs: To be done in all.
        train_batches: Of an epoch.
        val_batches: Of a pass over the validation split.
        ahead: Training batches that may have been loaded before the first step.
        checkpoint_bytes: What an epoch's end writes, about.
        device: Whose memory is told of.
        clock: Seconds; for tests.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        epochs: int,
        train_batches: int,
        val_batches: int,
        ahead: int,
        checkpoint_bytes: int,
        device: torch.device,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context, self._device, self._clock = context, device, clock
        self._epochs, self._train_batches = epochs, train_batches
        self._pace = Pace(
            epochs=epochs,
            train_batches=train_batches,
            val_batches=val_batches,
            ahead=ahead,
            checkpoint_bytes=checkpoint_bytes,
            clock=clock,
        )
        self._said: tuple[float, float] | None = None  # when, and seconds left then

    def begin_epoch(self, at: Position) -> None:
        """Training on what is left of an epoch begins."""
        self._pace.begin(at.batch)

    def look(self, at: Position) -> None:
        """Some batches are done, and the device has nothing more to do."""
        self._pace.look(at.batch)
        self._report(at, at_least=_DRIFT)

    def end_training(self, at: Position) -> None:
        """Validation follows."""
        self._pace.end_training(at.batch)

    def end_validation(self) -> None:
        """What an epoch's end writes follows."""
        self._pace.end_validation()

    def end_epoch(self, at: Position) -> None:
        """The epoch is done, and `at` is where the next one begins."""
        self._pace.end_epoch()
        self._report(at, at_least=0.0)

    def _report(self, at: Position, *, at_least: float) -> None:
        left, epoch_seconds = self._pace.seconds_left(at.epoch, at.batch), self._pace.epoch_seconds()
        if left is None or epoch_seconds is None:
            return
        now = self._clock()
        if self._said is None:
            if left < SHORTEST:
                return
        else:
            since = now - self._said[0]
            expected = max(0.0, self._said[1] - since)
            if since < INTERVAL or abs(left - expected) < at_least * max(left, expected):
                return
        self._said = now, left
        memory = memory_use(self._device)
        self._context.estimate(
            seconds=left,
            epoch_seconds=epoch_seconds,
            epochs=self._epochs - at.epoch - at.batch / self._train_batches,
            memory=memory.used,
            memory_total=memory.total,
        )
