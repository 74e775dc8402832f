"""How far a run has been tracked, in words."""

from __future__ import annotations

from visiontrain.errors import VisiontrainError
from visiontrain.handles import Run
from visiontrain.tracking.told import Tracking

__all__ = ["tracking_in_words"]


def tracking_in_words(run: Run) -> str | None:
    """One line; None of a run that is not tracked."""
    try:
        tracking = run.tracking
    except VisiontrainError as error:
        return str(error)
    return None if tracking is None else _in_words(tracking, run.run_id)


def _in_words(tracking: Tracking, run_id: str) -> str:
    where = tracking.url or tracking.uri or "visiontrain ui"
    if tracking.complete:
        return f"{tracking.tracker}: {where}"
    if tracking.error is not None:
        go_on = tracking.instruction or f"Send it later: visiontrain runs sync {run_id}"
        still = ", and still tried by itself" if tracking.sending else ""
        return f"{tracking.tracker}: not all is sent yet{still}: {tracking.error.rstrip('. ')}. {go_on}"
    if tracking.sending:
        return f"{tracking.tracker}: still being sent, which goes on by itself: {where}"
    return f"{tracking.tracker}: not all is sent yet. Send it: visiontrain runs sync {run_id}"
