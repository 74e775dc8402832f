"""What a run's attempt came to, from all that is known at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from visiontrain.errors import VisiontrainError
from visiontrain.protocol.events import Status, in_epochs
from visiontrain.protocol.inference import EvaluateResult, ExportResult
from visiontrain.protocol.messages import ErrorInfo, TrainResult
from visiontrain.supervisor.record import CheckpointRecord
from visiontrain.supervisor.stopping import Stop

__all__ = ["RESULTS", "Outcome", "Result", "describe"]

Result = TrainResult | EvaluateResult | ExportResult

#: What the trainer answers, by the run's kind.
RESULTS: dict[str, type[Result]] = {"train": TrainResult, "evaluate": EvaluateResult, "export": ExportResult}


def describe(error: VisiontrainError) -> ErrorInfo:
    """An error that the supervisor found itself."""
    return ErrorInfo(0, error.reason, type(error).__name__, error.instruction)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended. `metrics` are empty where the trainer gave none."""

    status: Status
    reason: str | None = None
    error: ErrorInfo | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    non_finite: dict[str, str] = field(default_factory=dict)

    @classmethod
    def answered(cls, result: Result, stop: Stop | None) -> Outcome:
        """The trainer came to an end by itself: it is done, or stopped at a safe point."""
        status: Status = "completed"
        reason = None
        if result.status != "completed":
            status, reason = (stop.status, stop.reason) if stop else ("stopped", "SIGTERM to its worker")
        return cls(status, reason, metrics=result.metrics, non_finite=result.non_finite)

    @classmethod
    def never_begun(cls, stop: Stop, *, waited: bool) -> Outcome:
        """It was stopped before the work began: while it `waited` for its device, or its worker was starting."""
        moment = "while it waited for its device" if waited else "before it began"
        return cls(stop.status, f"{stop.reason}, {moment}")

    @classmethod
    def forced(cls, stop: Stop, last: CheckpointRecord | None, *, resumable: bool) -> Outcome:
        """It had to be interrupted or killed; `last` is the checkpoint that is left of a run that keeps some."""
        if not resumable:
            return cls(stop.status, stop.reason)
        if last is None:
            lost = "before its first checkpoint: resuming it begins anew"
        else:
            lost = f"so the work since its last checkpoint, at {in_epochs(last.epoch)} epochs, is lost"
        late = "" if stop.is_at_once else "it reached no safe point in time, "
        return cls(stop.status, f"{stop.reason}; {late}{lost}")

    @classmethod
    def failed(cls, error: ErrorInfo) -> Outcome:
        """The trainer raised an exception, or its process died."""
        return cls("failed", error.headline, error)
