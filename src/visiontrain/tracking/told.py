"""How far a run has been tracked, as a person is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visiontrain.tracking.state import is_complete, is_followed, read_state

__all__ = ["Tracking", "read_tracking"]


@dataclass(frozen=True)
class Tracking:
    """Where a run is tracked, and how far that is.

    Args:
        tracker: The tracker's name.
        uri: Where to, without a password; None: the tracker's store in the home.
        experiment: Under which experiment.
        id: The tracker's id of the run; None until it was first accepted.
        url: The address of its page; None where the store is a file.
        complete: Whether all of the run is there, to its end.
        sending: Whether a process is sending it.
        error: Why the latest attempt to send failed; None where it did not.
        instruction: What to do about that.
    """

    tracker: str
    uri: str | None
    experiment: str
    id: str | None
    url: str | None
    complete: bool
    sending: bool
    error: str | None
    instruction: str | None


def read_tracking(run_dir: Path) -> Tracking | None:
    """How far the run in that folder has been tracked; None: it is not.

    Raises:
        TrackingError: what is kept of it is damaged.
        StorageError: it can't be read.
    """
    state = read_state(run_dir)
    if state is None:
        return None
    return Tracking(
        tracker=state.tracker,
        uri=state.uri,
        experiment=state.experiment,
        id=state.tracked,
        url=state.url,
        complete=is_complete(run_dir, state),
        sending=is_followed(run_dir),
        error=state.error,
        instruction=state.instruction,
    )
