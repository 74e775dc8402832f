"""The line that ends ``--json``, and what lists show of a run."""

from __future__ import annotations

from typing import Any

from visiontrain.cli.output import numbers
from visiontrain.errors import RunError, VisiontrainError
from visiontrain.handles import Run

__all__ = ["error_object", "result", "run_object"]


def result(run: Run | None, error: VisiontrainError | None = None) -> dict[str, Any]:
    """The last line: how it ended. Where there is no run, or no record of it, fields are null and `error` says why."""
    told = error and error_object(error)
    if run is None or (error is not None and not run.is_readable):
        nothing = dict.fromkeys(("run_id", "kind", "parent", "run_dir", "framework", "task", "model"))
        known = {"run_id": run.run_id, "run_dir": str(run.run_dir)} if run else {}
        return {
            "type": "result",
            "status": "failed" if error else "stopped",
            **nothing,
            **known,
            "metrics": {},
            "non_finite": {},
            "checkpoint": None,
            "reason": error.reason if error else "interrupted before the run began",
            "error": told,
        }
    return {"type": "result", **run_object(run), "error": told}


def error_object(error: VisiontrainError) -> dict[str, Any]:
    """An error as one JSON object."""
    of_run = error if isinstance(error, RunError) else None
    return {
        "type": type(error).__name__,
        "message": error.reason,
        "instruction": error.instruction,
        "traceback": of_run and of_run.remote_traceback,
        "log_tail": of_run and of_run.log_tail,
    }


def run_object(run: Run) -> dict[str, Any]:
    """A run as one JSON object. `checkpoint` is the best one, else the last one."""
    record = run.record
    checkpoint = run.best_checkpoint or run.last_checkpoint
    return {
        "status": record.status,
        "run_id": record.run_id,
        "kind": record.kind,
        "parent": record.parent,
        "run_dir": str(run.run_dir),
        "framework": record.framework,
        "task": record.task,
        "model": record.model,
        **numbers(run.metrics),
        "checkpoint": str(checkpoint) if checkpoint else None,
        "reason": record.reason,
        "name": record.name,
        "data": record.data.path,
        "created_at": record.created_at,
        "ended_at": record.ended_at,
    }
