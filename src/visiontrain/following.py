"""A run under way, as whoever started it or follows it holds it."""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from visiontrain.errors import RunError
from visiontrain.handles import Run
from visiontrain.protocol.events import Event, Status
from visiontrain.rundir.directory import is_being_worked_on
from visiontrain.rundir.events import EVENTS, EventReader
from visiontrain.runners.connection import remote_error
from visiontrain.runners.supervised import SupervisorLink

__all__ = ["RunHandle"]

#: How often a run of another process is looked at, in seconds.
POLL = 0.1


class RunHandle:
    """A run under way: started here, or followed from another process.

    Args:
        run: The run.
        link: The way to its supervisor, where this process started it.
        offset: Where this attempt's events begin in the record, in bytes.
    """

    def __init__(self, run: Run, link: SupervisorLink | None, *, offset: int = 0) -> None:
        self.run = run
        self._link = link
        self._reader = EventReader(run.run_dir / EVENTS, offset=offset)
        self._read: deque[Event] = deque()  # kept here, so that an interrupted loop over them loses none
        self._reading = threading.Lock()
        self._reported = False

    def __repr__(self) -> str:
        return f"<RunHandle of {self.run!r}>"

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def run_dir(self) -> Path:
        """The run's folder."""
        return self.run.run_dir

    @property
    def status(self) -> Status:
        """pending, running, completed, failed, stopped or interrupted."""
        return self.run.status

    def events(self, *, timeout: float | None = None) -> Iterator[Event]:
        """The attempt's events as they happen, each once a handle, to its end; a slow reader slows nobody but itself.

        Progress comes only to the process that started the run, and only as much of it as is read in time.

        Args:
            timeout: Seconds that this may take in all.

        Raises:
            TimeoutError: the attempt has not ended in time; it goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            over = self._is_over()  # asked before the reading: what was written until then is read below
            while self._read or self._read_more():
                try:
                    event = self._read.popleft()
                except IndexError:  # another thread was faster
                    continue
                yield event
                if deadline is not None:
                    self._check(deadline)
            if over:
                self._report()
                return
            self._check(deadline)
            yield from self._pause()

    def wait(self, *, timeout: float | None = None) -> Run:
        """Wait for the attempt's end. Events that were not read yet can be read afterwards.

        Args:
            timeout: Seconds to wait at the most; by default as long as it takes.

        Raises:
            TimeoutError: it has not ended in time; it goes on.
            RunFailedError, WorkerCrashedError, RunInterruptedError, StorageError: see `raise_for_status`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._is_over():
            self._check(deadline)
            for _ in self._pause():
                pass  # progress is for those who look at events
        self._report()
        return self.raise_for_status()

    def raise_for_status(self) -> Run:
        """Raise the error of an attempt that failed or was interrupted; else give the run.

        Raises:
            RunFailedError, WorkerCrashedError, RunInterruptedError: see `Run.raise_for_status`.
            StorageError: the disk is full or fails, so that the run's record could not be kept.
        """
        if self._link is not None and self._link.failure is not None:
            raise remote_error(self._link.failure, run_id=self.run_id)
        return self.run.raise_for_status()

    def stop(self) -> None:
        """Ask the run to end at its next safe point, leaving a resumable checkpoint. Does not wait."""
        link = self._usable_link
        if link is not None and not link.closed:
            link.say("stop")
        else:
            self.run.stop()

    def kill(self) -> None:
        """End the run at once; what was done since its last checkpoint is lost. Does not wait."""
        link = self._usable_link
        if link is not None and not link.closed:
            link.say("kill")
        else:
            self.run.kill()

    def detach(self) -> None:
        """Let the run go on when this process ends."""
        link = self._usable_link
        if link is None:
            raise RunError("only the process that started a run can let it go", run_id=self.run_id)
        link.say("detach")

    @property
    def _usable_link(self) -> SupervisorLink | None:
        """None in a process that was forked off the one that started the run: it follows as any other does."""
        return self._link if self._link is not None and self._link.is_ours else None

    def _read_more(self) -> bool:
        with self._reading:
            self._read.extend(self._reader.read())
        return bool(self._read)

    def _report(self) -> None:
        """Leave the run's page in its folder, once, in the process that started the attempt."""
        link = self._usable_link
        if link is None or link.failure is not None or self._reported:
            return
        self._reported = True
        try:
            self.run.report()
        except Exception as error:  # noqa: BLE001 - what was trained is there, whatever becomes of its page
            message = f"the report of the run {self.run_id} could not be written: {error}"
            warnings.warn(message, stacklevel=3)

    def _check(self, deadline: float | None) -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"the run {self.run_id} has not ended in time; it goes on")

    def _is_over(self) -> bool:
        link = self._usable_link
        if link is not None:
            return link.closed
        return not is_being_worked_on(self.run_dir)

    def _pause(self) -> Iterator[Event]:
        link = self._usable_link
        if link is None:
            time.sleep(POLL)
        else:
            yield from link.wait(POLL)
