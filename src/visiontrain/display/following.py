"""What a run's events say about where it is: folded from each event, cheap, and asked for when something is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

from visiontrain.protocol.events import (
    CheckpointEvent,
    EstimateEvent,
    Event,
    MetricsEvent,
    ProgressEvent,
    ResumedEvent,
    StatusEvent,
    WorkerEvent,
    join_non_finite,
)

__all__ = ["EpochRow", "Following"]

#: Of an epoch's time, what training is taken to need until an epoch has been timed; the rest is validation.
_TRAIN_SHARE = 0.85

#: Weight of the latest epoch in the running mean of their times.
_LATEST = 0.4


@dataclass(frozen=True)
class EpochRow:
    """An epoch that is done. `seconds` is None where its begin is not known; `best`: the best checkpoint is from it."""

    epoch: int
    values: dict[str, float]
    seconds: float | None
    best: bool


class Following:
    """Where a run is.

    Args:
        epochs: Epochs in all, where that is known beforehand.
    """

    def __init__(self, epochs: int | None = None) -> None:
        self.epochs = epochs
        self.progress: ProgressEvent | None = None
        self.waiting_for = "Starting the worker"
        self._row: EpochRow | None = None  # not given yet: a best checkpoint may follow
        self._done = 0
        self._began: float | None = None  # monotonic time at which the epoch under way began
        self._origin: tuple[float, float] | None = None  # monotonic time and position of this attempt's first batch
        self._mean: float | None = None  # seconds an epoch
        self._estimate: EstimateEvent | None = None  # the trainer's own: it knows what is still to come

    def take(self, event: Event) -> EpochRow | None:
        """Take an event; gives the row of an epoch once it is known whether that is the best one."""
        row = self._finished_row(event)
        if isinstance(event, ProgressEvent):
            self._take_progress(event)
        elif isinstance(event, MetricsEvent) and event.scope == "epoch":
            self._take_row(event)
        elif isinstance(event, EstimateEvent):
            self._estimate = event
        elif isinstance(event, WorkerEvent):
            self.waiting_for = "Preparing the training"
            self._began = event.monotonic
        elif isinstance(event, ResumedEvent):
            self._done = int(event.epoch)
            self._began = event.monotonic
        elif isinstance(event, StatusEvent) and event.status == "running":
            self.progress, self.waiting_for = None, "Starting the worker"
            self._began = self._origin = self._mean = self._estimate = None
        elif isinstance(event, StatusEvent) and event.status == "pending":
            self.waiting_for = "Waiting for its turn"
        return row

    def seconds_left(self, now: float) -> float | None:
        """Seconds until all epochs are done; None where nothing tells yet.

        The trainer's estimate where it gives one, else the pace so far.

        Args:
            now: The present, as `time.monotonic` gives it.
        """
        if self._estimate is not None:
            return max(0.0, self._estimate.seconds - (now - self._estimate.monotonic))
        if self.epochs is None:
            return None
        if self._mean is not None and self._began is not None:
            rest = (self.epochs - self._done) * self._mean - max(0.0, now - self._began)
            return max(rest, (self.epochs - self._done - 1) * self._mean, 0.0)
        if self._origin is None or self.progress is None:
            return None
        began, position = self._origin
        walked = self._position(self.progress) - position
        if walked <= 0:
            return None
        return max(0.0, (self.epochs - position) * (self.progress.monotonic - began) / walked - (now - began))

    def _take_progress(self, event: ProgressEvent) -> None:
        self.progress = event
        self.epochs = event.epochs or self.epochs
        if event.phase == "train" and self._origin is None:
            self._origin = (event.monotonic, self._position(event))
            if self._mean is None:
                self._began = event.monotonic

    def _finished_row(self, event: Event) -> EpochRow | None:
        row = self._row
        another = isinstance(event, MetricsEvent) and row is not None and event.epoch != row.epoch
        if row is None or not (another or isinstance(event, (CheckpointEvent, ProgressEvent, StatusEvent))):
            return None
        self._row = None
        return replace(row, best=isinstance(event, CheckpointEvent) and event.kind == "best")

    def _take_row(self, event: MetricsEvent) -> None:
        self.waiting_for = "Training"  # of a run of another process, whose progress does not come here
        values = join_non_finite(event.values, event.non_finite)
        if self._row is not None:  # the same epoch, told in parts
            self._row = replace(self._row, values={**self._row.values, **values})
            return
        seconds = None if self._began is None else max(0.0, event.monotonic - self._began)
        if seconds is not None:
            self._mean = seconds if self._mean is None else self._mean + _LATEST * (seconds - self._mean)
        self._began, self._done = event.monotonic, event.epoch
        self._row = EpochRow(event.epoch, values, seconds, best=False)

    def _position(self, event: ProgressEvent) -> float:
        """Epochs done, with the fraction of the one under way."""
        fraction = event.step / event.steps if event.steps else 0.0
        if event.phase == "train":
            within = _TRAIN_SHARE * fraction
        elif event.phase == "val":
            within = _TRAIN_SHARE + (1 - _TRAIN_SHARE) * fraction
        else:
            within = 0.0
        return max(0, event.epoch - 1) + within
