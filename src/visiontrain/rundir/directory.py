"""The folders of runs: made with distinct ids, found by id, prefix, name or the word ``last``."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from visiontrain.errors import ProtocolError, UnknownRunError
from visiontrain.protocol.events import UNFINISHED
from visiontrain.storage import explained, flock
from visiontrain.supervisor.main import LOCK_FILE
from visiontrain.supervisor.record import RECORD, RunRecord, read_record

__all__ = ["RECORD", "RunDirectories", "is_being_worked_on", "read_current_record"]


class RunDirectories:
    """The runs of a home."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> tuple[str, Path]:
        """Make the folder of a new run; processes and threads that do so at once get different ones.

        Raises:
            StorageError: the disk does not take it.
        """
        with explained("no folder for a new run can be made"):
            self.root.mkdir(parents=True, exist_ok=True)
            while True:
                # By name is by time: the last part is the second's fraction, so that ``last`` is the newest run.
                now = datetime.now(timezone.utc)
                run_id = f"{now:%Y%m%d-%H%M%S}-{(now.microsecond << 16) // 10**6:04x}"
                path = self.root / run_id
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    return run_id, path

    def paths(self) -> Iterator[Path]:
        """Folders of runs, newest first."""
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self.root.iterdir(), reverse=True):
                if _holds_record(path):
                    yield path

    def find(self, reference: str, *, kind: str | None = None) -> Path:
        """The folder of the run that `reference` names: an id, a unique prefix of one, a name, or ``last``.

        Args:
            reference: What names it.
            kind: Of this kind must be the newest run that is meant by ``last``; where a prefix or a name fits several
                runs, those of this kind are meant.

        Raises:
            UnknownRunError: none does, or more than one.
        """
        paths = list(self.paths())
        if reference == "last":
            readable = ((path, record) for path in paths if (record := _readable(path)))
            newest = next((path for path, record in readable if kind in (None, record.kind)), None)
            if newest is None:
                raise UnknownRunError(
                    "there is no run yet" if kind is None else f"there is no run of kind {kind} yet",
                    instruction="Start one: visiontrain train DATA --model NAME",
                )
            return newest
        found = [path for path in paths if path.name == reference]
        found = found or ([path for path in paths if path.name.startswith(reference)] if reference else [])
        found = found or [path for path in paths if (record := _readable(path)) and record.name == reference]
        if kind is not None and len(found) > 1:
            found = [path for path in found if (record := _readable(path)) and record.kind == kind] or found
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(path.name for path in found[:10])
            raise UnknownRunError(
                f"{len(found)} runs answer to {reference[:100]!r}: {listed}", instruction="Give a whole id."
            )
        raise UnknownRunError(f"no run answers to {reference[:100]!r}", instruction="See them: visiontrain runs")


def is_being_worked_on(run_dir: Path) -> bool:
    """Whether a supervisor works on the run: it holds the lock, and the kernel frees that with its last breath.

    Raises:
        StorageError: the file system has no locks, or the file can't be opened: nobody can say.
    """
    path = run_dir / LOCK_FILE
    with explained(f"whether the run {run_dir.name} is going on can't be told"):
        try:
            fd = os.open(path, os.O_RDONLY)  # enough for a shared lock, and a home may be read-only
        except (FileNotFoundError, NotADirectoryError):
            return False
    try:
        return not flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, path)
    finally:
        os.close(fd)


def read_current_record(run_dir: Path) -> RunRecord:
    """The run's record with its true status: one that says running while nobody works on it was interrupted.

    Raises:
        UnknownRunError: there is no readable record.
        StorageError: whether somebody works on the run can't be told.
    """
    before: RunRecord | None = None
    while True:
        # In this order: a run that ends between the two reads as what its record says, not as interrupted.
        working = is_being_worked_on(run_dir)
        try:
            record = read_record(run_dir / RECORD)
        except (OSError, ProtocolError) as error:
            raise _unreadable(run_dir, error) from error
        if working or record.status not in UNFINISHED:
            return record
        if record == before:  # seen twice: it was not taken up between the first two looks
            reason = "its supervisor ended without a word"
            return replace(record, status="interrupted", reason=reason, supervisor_pid=None)
        before = record


def _unreadable(run_dir: Path, error: Exception) -> UnknownRunError:
    listed = "See the runs that are there: visiontrain runs"
    if not run_dir.is_dir():
        return UnknownRunError(f"the run's folder {run_dir} is gone: it was removed or moved", instruction=listed)
    if isinstance(error, FileNotFoundError):
        return UnknownRunError(
            f"the folder {run_dir} holds no record of a run: {RECORD} was removed, or never written", instruction=listed
        )
    return UnknownRunError(
        f"the record of the run {run_dir.name} can't be read: {error}",
        instruction=f"If {run_dir / RECORD} can't be mended, remove that folder.",
    )


def _holds_record(path: Path) -> bool:
    try:
        return (path / RECORD).is_file()
    except OSError:  # somebody else's run, or a failing disk: whoever reads its record is told
        return True


def _readable(path: Path) -> RunRecord | None:
    try:
        return read_record(path / RECORD)
    except (OSError, ProtocolError):  # a damaged run must not hide the others
        return None
