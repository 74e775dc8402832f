"""What a trainer is given: the request, the data, and the ways to report and to be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from operator import index
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import ProtocolError
from visiontrain.protocol.events import (
    ArtifactEvent,
    CheckpointEvent,
    EstimateEvent,
    Event,
    LogEvent,
    MetricsEvent,
    ProgressEvent,
    ResumedEvent,
    split_non_finite,
)
from visiontrain.protocol.inference import EvaluateParams, ExportParams
from visiontrain.protocol.messages import TrainParams
from visiontrain.protocol.structure import JsonObject, structure

__all__ = ["EvaluateContext", "ExportContext", "RequestContext", "RunContext"]

P = TypeVar("P", TrainParams, EvaluateParams, ExportParams)

#: Progress messages a second at the most: what a screen can show; the others are left out here already.
PROGRESS_RATE = 20.0


class RequestContext(Generic[P]):
    """One run of any kind, seen by its trainer. Methods may be called from any thread, until the trainer has returned.

    What is reported with a value of another type than it should have is a `ProtocolError` that names it; nothing of it
    is sent then.

    Args:
        params: What was asked for.
        send: Takes an event's JSON object to the pipe, whole, under a lock of its own.
    """

    def __init__(self, params: P, send: Callable[[JsonObject], None]) -> None:
        self.params: P = params
        self.run_dir = Path(params.run_dir)
        self._send = send
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._seq = 0
        self._closed = False
        self._last_progress = float("-inf")

    @cached_property
    def dataset(self) -> DatasetIndex:
        """The index of the run's data; made by the host, read-only."""
        return DatasetIndex(self.params.dataset)

    @property
    def artifacts_dir(self) -> Path:
        """Where other output files go."""
        return self.run_dir / "artifacts"

    @property
    def stop_requested(self) -> bool:
        """True once the run shall end at the next safe point, leaving a resumable checkpoint."""
        return self._stop.is_set()

    def request_stop(self) -> None:
        """Ask the trainer to end at its next safe point."""
        self._stop.set()

    def close(self) -> None:
        """The request is about to be answered: what is reported from now on is refused."""
        with self._lock:
            self._closed = True

    def progress(
        self,
        phase: str,
        *,
        epoch: int = 0,
        epochs: int = 0,
        step: int = 0,
        steps: int = 0,
        values: Mapping[str, float] | None = None,
        message: str = "",
    ) -> None:
        """Show how far a phase is. Cheap to call on every batch: at most `PROGRESS_RATE` a second leave the worker.

        The last batch of a phase always leaves it.
        """
        now = time.monotonic()
        if 0 < step < steps and now - self._last_progress < 1 / PROGRESS_RATE:
            return
        self._last_progress = now
        finite, _ = split_non_finite(values or {})
        self._emit(
            ProgressEvent,
            phase=phase,
            epoch=epoch,
            epochs=epochs,
            step=step,
            steps=steps,
            values=finite,
            message=message,
        )

    def artifact(self, path: Path, *, kind: str) -> None:
        """Record an output file that lies whole at `path`, inside the run's folder."""
        self._emit(ArtifactEvent, path=self._relative(path), kind=kind)

    def log(self, message: str, *, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        """Tell the person something."""
        self._emit(LogEvent, level=level, message=message)

    def _relative(self, path: Path) -> str:
        return Path(path).resolve().relative_to(self.run_dir.resolve()).as_posix()

    def _emit(self, cls: type[Event], **fields: Any) -> None:
        # The lock is held while sending: the numbers must reach the pipe in their order. The object is what
        # event_to_json(cls(...)) gives, without making the event first: a loop may report a hundred thousand points,
        # whose values were checked already. Any other event is: a reader passes over what is none.
        with self._lock:
            if self._closed:  # by a thread that the trainer has left behind; the protocol has no place for it
                raise ProtocolError(f"the run is over: a {cls.type} event came after the trainer had returned")
            seq = self._seq + 1
            head: JsonObject = {"type": cls.type, "run_id": self.params.run_id, "seq": seq, "source": "worker"}
            event: JsonObject = {**head, "time": time.time(), "monotonic": time.monotonic(), **fields}
            if cls is not MetricsEvent:
                structure(cls, event)
            self._send(event)
            self._seq = seq  # not before: an event that can't be sent must leave no gap


class EvaluateContext(RequestContext[EvaluateParams]):
    """An evaluation. Its numbers are the result's."""


class ExportContext(RequestContext[ExportParams]):
    """An export. Its files are told with `artifact`."""


class RunContext(RequestContext[TrainParams]):
    """A training."""

    @property
    def checkpoints_dir(self) -> Path:
        """Where checkpoints go."""
        return self.run_dir / "checkpoints"

    def metrics(
        self, values: Mapping[str, float], *, step: int, epoch: int, scope: Literal["epoch", "step"] = "epoch"
    ) -> None:
        """Record numbers under their canonical names. NaN and infinities are kept as such.

        Args:
            values: Number by name.
            step: Optimizer steps done since the run's beginning.
            epoch: The epoch they belong to, counted from 1.
            scope: ``epoch`` for the epoch's row of the history (one a run and epoch), ``step`` for points between.

        Raises:
            TypeError: a value is not a number, or `step` or `epoch` not an integer.
            ValueError: there is no such scope.
        """
        if scope not in ("epoch", "step"):
            raise ValueError(f"scope: expected 'epoch' or 'step', got {scope!r}")
        finite, non_finite = split_non_finite(values)
        # index(): NumPy's integers are taken, and a float is told here, not passed over by whoever reads the record.
        where = {"step": index(step), "epoch": index(epoch), "scope": scope}
        self._emit(MetricsEvent, **where, values=finite, non_finite=non_finite)

    def checkpoint(
        self,
        path: Path,
        *,
        kind: Literal["last", "best"],
        step: int,
        epoch: float,
        exact: bool = True,
        reason: str | None = None,
    ) -> None:
        """Record a checkpoint that lies whole at `path`, inside the run's folder.

        Args:
            path: The file.
            kind: ``last`` for state that can be resumed, ``best`` for the best epoch's weights.
            step: Optimizer steps done.
            epoch: Epochs done, with the fraction of the one under way.
            exact: Whether resuming gives what an uninterrupted run would have given.
            reason: Why it is not exact.
        """
        relative = self._relative(path)
        where = {"step": index(step), "epoch": epoch}
        self._emit(CheckpointEvent, path=relative, kind=kind, **where, exact=exact, reason=reason)

    def estimate(
        self,
        *,
        seconds: float,
        epoch_seconds: float,
        epochs: float,
        memory: int | None = None,
        memory_total: int | None = None,
    ) -> None:
        """Tell how long the rest takes, by what has been done: when a first estimate can be made, and when it changes.

        Args:
            seconds: Until all epochs are done.
            epoch_seconds: Of one epoch, validation and checkpoints included.
            epochs: That are left, with the fraction of the one under way.
            memory: The most bytes so far, of the device or, on the CPU, of the machine.
            memory_total: Bytes that there are.
        """
        time_left = {"seconds": seconds, "epoch_seconds": epoch_seconds, "epochs": epochs}
        self._emit(EstimateEvent, **time_left, memory=memory, memory_total=memory_total)

    def resumed(
        self, *, step: int, epoch: float, checkpoint: Path | None, exact: bool = True, reason: str | None = None
    ) -> None:
        """Record that training goes on from `step`; call it once, before the first metric after a resume."""
        relative = None if checkpoint is None else self._relative(checkpoint)
        self._emit(ResumedEvent, step=step, epoch=epoch, checkpoint=relative, exact=exact, reason=reason)
