"""``tracking.json`` in a run's folder: where the run is sent to, and how much of its record was accepted there."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from visiontrain.errors import ProtocolError, TrackingError, VisiontrainError
from visiontrain.home import Home
from visiontrain.protocol.codec import dumps, loads
from visiontrain.protocol.structure import structure, unstructure
from visiontrain.rundir.directory import RunDirectories, is_being_worked_on, read_current_record
from visiontrain.storage import explained, flock
from visiontrain.supervisor.record import RunRecord, write_atomically

__all__ = [
    "STATE",
    "TrackingState",
    "is_complete",
    "is_followed",
    "lock_following",
    "lock_state",
    "owes_model",
    "pending_runs",
    "read_state",
    "write_state",
]

STATE = "tracking.json"

#: Held (flock) by a process while it sends a piece of the run.
_SENDING = "tracking.lock"

#: Held (flock) by the process that follows the run, from its start to its end.
_FOLLOWING = "tracking.following"


@dataclass(frozen=True)
class TrackingState:
    """How far a run has been sent.

    Args:
        tracker: The tracker's name.
        uri: Where to, without a password; None: the tracker's store in the home.
        experiment: Under which experiment.
        source: Tags that tell where the run was started: the state of the git repository, the person.
        offset: Where in ``events.jsonl`` the first line begins that has not been accepted, in bytes.
        samples: The same of the file of the machine's loads.
        uncertain: What follows may have been accepted, in part: it was sent, and no answer was seen.
        reached: The last step that was sent, by metric.
        again: Up to which step the attempt that `offset` is in does exactly again what was sent, by metric.
        tracked: The tracker's id of the run.
        url: The address of its page there.
        status: The status that was accepted, of a run that had ended.
        attempt: The attempt whose end that was.
        gone: The run was deleted there.
        model: Where the exported model was logged, of an export.
        error: Why the latest attempt to send failed; None where it did not.
        instruction: What to do about that.
    """

    tracker: str
    uri: str | None
    experiment: str
    source: dict[str, str] = field(default_factory=dict)
    offset: int = 0
    samples: int = 0
    uncertain: bool = False
    reached: dict[str, int] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    tracked: str | None = None
    url: str | None = None
    status: str | None = None
    attempt: int = 0
    gone: bool = False
    model: str | None = None
    error: str | None = None
    instruction: str | None = None


def read_state(run_dir: Path) -> TrackingState | None:
    """How far the run has been sent; None of a run that is not tracked.

    Raises:
        TrackingError: the file is damaged.
        StorageError: it can't be read.
    """
    with explained("how far the run has been sent can't be read"):
        try:
            data = (run_dir / STATE).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        return structure(TrackingState, loads(data))
    except ProtocolError as error:
        raise TrackingError(
            f"{run_dir / STATE} is damaged: {error}",
            instruction="Remove that file to have the run no longer tracked.",
        ) from error


def write_state(run_dir: Path, state: TrackingState) -> None:
    """Replace it in one step, on disk before this returns.

    Raises:
        StorageError: the disk does not take it.
    """
    with explained("how far the run has been sent can't be kept"):
        write_atomically(run_dir / STATE, dumps(unstructure(state)) + b"\n")


def lock_state(run_dir: Path, *, wait: bool) -> AbstractContextManager[bool]:
    """Be the only one who sends the run; gives False where another process does at the moment and `wait` is not set.

    Raises:
        StorageError: the disk has no locks.
    """
    return _locked(run_dir / _SENDING, wait=wait)


def lock_following(run_dir: Path) -> AbstractContextManager[bool]:
    """Be the only one who follows the run, and wait until that is so.

    Raises:
        StorageError: the disk has no locks.
    """
    return _locked(run_dir / _FOLLOWING, wait=True)


def is_followed(run_dir: Path) -> bool:
    """Whether a process follows the run to send it.

    Raises:
        StorageError: the disk has no locks.
    """
    path = run_dir / _FOLLOWING
    with explained("whether the run is being sent can't be told"):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # enough for a shared lock, and a home may be read-only
        except (FileNotFoundError, NotADirectoryError):
            return False
    try:
        return not flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, path)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    with explained("the run can't be locked for sending"):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), path)
    finally:
        os.close(fd)


def is_complete(run_dir: Path, state: TrackingState, record: RunRecord | None = None) -> bool:
    """Whether all of the run was accepted, to the end of its latest attempt.

    Raises:
        UnknownRunError: the run has no readable record.
        StorageError: whether somebody works on the run can't be told.
    """
    if state.gone:
        return True
    if is_being_worked_on(run_dir):
        return False
    found = record or read_current_record(run_dir)
    return (found.status, found.attempt) == (state.status, state.attempt) and not owes_model(state, found)


def owes_model(state: TrackingState, record: RunRecord) -> bool:
    """Whether the run has exported a model that the tracker was not told of."""
    if state.model is not None or record.kind != "export" or record.status != "completed":
        return False
    return record.spec.get("format") == "onnx"


def pending_runs(home: Home) -> Iterator[Path]:
    """Folders of the runs that are over and of which not all was accepted, newest first."""
    for run_dir in RunDirectories(home.runs).paths():
        with contextlib.suppress(VisiontrainError):  # a damaged run hides no other
            state = read_state(run_dir)
            if state is not None and not is_being_worked_on(run_dir) and not is_complete(run_dir, state):
                yield run_dir
