"""How fast a training is by its own first steps, and so how long the rest of it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Pace"]

#: Batches that are no measure: memory is taken, kernels are chosen, caches filled.
_WARM_UP = 2
#: Batches that lie ready at first are no measure either, unless it takes so many seconds to use them up.
_LOADED_AHEAD = 20.0
#: Steps are measured for so many seconds, and so many of them, before anything is said.
_WINDOW = 5.0
_FEWEST = 3
#: Within an epoch after the first, what is measured counts after so many seconds.
_LONG = 30.0
#: Weight of the latest epoch in the running means.
_LATEST = 0.4
#: Of a training batch's time, what validation's needs until that has been measured: it only goes forward.
_VALIDATION = 0.5
#: Bytes a second that a disk takes until it has been measured.
_DISK = 200e6


class Pace:
    """Measures epochs while they go on. All times are those of one attempt.

    Args:
        epochs: To be done in all.
        train_batches: Of an epoch.
        val_batches: Of a pass over the validation split.
        ahead: Training batches that may have been loaded before the first step.
        checkpoint_bytes: What an epoch's end writes, about.
        clock: Seconds; for tests.
    """

    def __init__(
        self,
        *,
        epochs: int,
        train_batches: int,
        val_batches: int,
        ahead: int,
        checkpoint_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._epochs, self._train_batches, self._val_batches = epochs, train_batches, val_batches
        self._skipped, self._clock = _WARM_UP + ahead, clock
        self._batch: float | None = None  # seconds of a training batch, the first ones of the attempt left out
        self._seen = 0  # batches before the epoch under way
        self._validation: float | None = None  # seconds of a pass
        self._ending: float | None = None  # seconds of the rest of an epoch: metrics and checkpoints
        self._ending_guess = checkpoint_bytes / _DISK
        self._whole_epochs = 0  # that were measured
        self._start: tuple[float, int] | None = None  # of the epoch, or what is left of it: time, batches done
        self._first: float | None = None  # time of the first look
        self._window: tuple[float, int] | None = None  # time, batches done
        self._phase = 0.0  # when the present phase began

    def begin(self, batch: int) -> None:
        """An epoch's training begins, or goes on after `batch` batches."""
        self._start = self._clock(), batch
        self._first = self._window = None

    def look(self, batch: int) -> None:
        """`batch` batches of the epoch are done, and the device has nothing more to do."""
        now = self._clock()
        if self._start is None:
            return
        done = batch - self._start[1]
        if self._first is None:
            self._first = now
        if self._window is None:
            warm = done >= self._skipped or (done > _WARM_UP and now - self._first >= _LOADED_AHEAD)
            if warm or self._whole_epochs:
                self._window = now, batch
            return
        seconds, batches = now - self._window[0], batch - self._window[1]
        if batches >= _FEWEST and seconds >= (_LONG if self._whole_epochs else _WINDOW):
            self._batch = seconds / batches

    def end_training(self, batch: int) -> None:
        """The epoch's training is done with `batch` batches; validation follows."""
        now = self._phase = self._clock()
        if self._start is None or batch <= self._start[1]:
            return
        batches = batch - self._start[1]
        whole = (now - self._start[0]) / batches  # with the waiting for its first batch
        if self._seen >= _WARM_UP:
            self._batch = _mean(self._batch, whole)
        elif self._window is not None and batch - self._window[1] >= _FEWEST:
            self._batch = (now - self._window[0]) / (batch - self._window[1])
        self._seen += batches

    def end_validation(self) -> None:
        """The pass over the validation split is done; its numbers and the checkpoints follow."""
        now = self._clock()
        # The first pass starts loader processes: the second one's time takes its place.
        self._validation = _mean(None if self._whole_epochs == 1 else self._validation, now - self._phase)
        self._phase = now

    def end_epoch(self) -> None:
        """The epoch is done."""
        self._ending = _mean(self._ending, self._clock() - self._phase)
        self._whole_epochs += 1
        self._start = None

    def epoch_seconds(self) -> float | None:
        """Seconds of an epoch, validation and checkpoints included. None where nothing is measured yet."""
        if self._batch is None:
            return None
        validation = self._val_batches * self._batch * _VALIDATION if self._validation is None else self._validation
        ending = self._ending_guess if self._ending is None else self._ending
        return self._train_batches * self._batch + validation + ending

    def seconds_left(self, epoch: int, batch: int) -> float | None:
        """Seconds until all epochs are done.

        Args:
            epoch: Epochs done.
            batch: Training batches done of the next one.
        """
        whole = self.epoch_seconds()
        if whole is None or self._batch is None:
            return None
        return max(0.0, (self._epochs - epoch) * whole - batch * self._batch)


def _mean(before: float | None, latest: float) -> float:
    return latest if before is None else before + _LATEST * (latest - before)
