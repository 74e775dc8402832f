"""The runs of a home: what each kind of them needs to be started, found and followed."""

from __future__ import annotations

import os
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from visiontrain.errors import SpecError, StorageError, TrackingError, UnknownRunError, VisiontrainError
from visiontrain.installation import Installation

# Touching `visiontrain.train` must not cost what training costs: each method imports what it needs.
if TYPE_CHECKING:
    from pathlib import Path

    from visiontrain.following import RunHandle
    from visiontrain.handles import Run
    from visiontrain.observers import Observer
    from visiontrain.rundir.directory import RunDirectories
    from visiontrain.runners.starting import Launched, Terms
    from visiontrain.runners.supervised import SupervisorLink
    from visiontrain.supervisor.launch import Deadlines
    from visiontrain.tracking.state import TrackingState

__all__ = ["RunKeeper", "follow_to_end"]


class RunKeeper(Installation, ABC):
    """An `Installation` with runs. `visiontrain.session.Session` is one that starts them; its arguments are told there.

    Raises:
        PlatformError: the operating system is not Linux or macOS.
        SpecError: `max_runs_per_device` is not a number from 1, or something in `passthrough` no name.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        passthrough: Iterable[str] = (),
        deadlines: Deadlines | None = None,
        max_runs_per_device: int | None = None,
    ) -> None:
        super().__init__(home, passthrough=passthrough)
        self._deadlines = deadlines
        self._runs_per_device = _runs_per_device(max_runs_per_device)
        # While a link is open its run is attached; one that was dropped would stop the run.
        self._attached: dict[str, SupervisorLink] = {}
        self._lock = threading.Lock()

    def run(self, run: str = "last") -> Run:
        """The run that an id, a unique prefix, a name, or ``last`` names.

        Raises:
            UnknownRunError: none does, or more than one.
        """
        return self._run(self._directories.find(run))

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        return [self._run(path) for path in self._directories.paths()]

    def follow(self, run: str = "last") -> RunHandle:
        """A handle on a run, whichever process started it; its events begin with the run's first."""
        from visiontrain.following import RunHandle

        return RunHandle(self.run(run), None)

    @abstractmethod
    def _run(self, run_dir: Path) -> Run:
        """The run of a folder."""

    @cached_property
    def _directories(self) -> RunDirectories:
        from visiontrain.rundir.directory import RunDirectories

        self.home.check_readable()
        return RunDirectories(self.home.runs)

    def _begin_tracking(self, asked: str | None) -> TrackingState | None:
        """Where a new run is tracked; None: nowhere.

        Raises:
            SpecError: what was asked for can't be.
        """
        from visiontrain.tracking.targets import begin_tracking

        return begin_tracking(asked, tuple(self._trackers.values()))

    def _track(self, run_dir: Path, new: TrackingState | None = None) -> None:
        """Have a run sent by a process beside it, if it is tracked. That it can't be must not harm the run."""
        from visiontrain.tracking.follower import start_follower
        from visiontrain.tracking.state import STATE

        if new is None and not (run_dir / STATE).exists():
            return
        try:
            start_follower(self.home, run_dir, new, passthrough=self.passthrough)
        except VisiontrainError as error:
            warnings.warn(f"the run {run_dir.name} is not tracked: {error}", stacklevel=2)

    def _track_with(self, run_dir: Path, parent_dir: Path) -> None:
        """Have an evaluation or export tracked where its training is."""
        from visiontrain.tracking.state import TrackingState, read_state

        with suppress(TrackingError, StorageError):  # it is told where the training's tracking is looked at
            state = read_state(parent_dir)
            if state is not None and state.tracker in self._trackers:
                self._track(run_dir, TrackingState(state.tracker, state.uri, state.experiment))

    def _terms(self, *, detached: bool, queued: bool = True) -> Terms:
        """On what terms a run is started.

        Args:
            detached: Whether it goes on when this process ends.
            queued: Whether it waits for its turn on a device.
        """
        from visiontrain.runners.starting import Terms
        from visiontrain.supervisor.launch import Deadlines, DeviceLimit

        limit = DeviceLimit(str(self.home.devices), self._runs_per_device) if queued else None
        return Terms(detached, self._deadlines or Deadlines(), limit)

    def _handle(self, launched: Launched, detached: bool) -> RunHandle:
        from visiontrain.following import RunHandle

        run = self._run(launched.run_dir)
        with self._lock:
            self._attached = {run_id: link for run_id, link in self._attached.items() if not link.closed}
            if not detached:
                self._attached[run.run_id] = launched.link
        return RunHandle(run, launched.link, offset=launched.offset)

    def _observer(self, *, progress: bool) -> AbstractContextManager[Observer]:
        if not progress:
            from visiontrain.observers import Silent

            return nullcontext(Silent())
        from visiontrain.display.console import ConsoleObserver

        return ConsoleObserver()


def follow_to_end(handle: RunHandle, observer: Observer) -> Run:
    """Tell the observer every event; on Ctrl-C stop the run in good order, on a second one at once."""
    try:
        _tell_all(handle, observer)
    except KeyboardInterrupt:
        try:
            handle.stop()
            observer.stopping(handle.run_id)
            _tell_all(handle, observer)
        except KeyboardInterrupt:
            handle.kill()
            _tell_all(handle, observer)
        _tell_end(handle, observer)
        raise
    _tell_end(handle, observer)
    return handle.raise_for_status()


def _tell_end(handle: RunHandle, observer: Observer) -> None:
    # Of a run that left no record there is nothing to tell but the error, which is raised next.
    with suppress(UnknownRunError):
        observer.ended(handle.run)


def _tell_all(handle: RunHandle, observer: Observer) -> None:
    for event in handle.events():
        observer.event(event)


def _runs_per_device(asked: int | None) -> int:
    name, value = "max_runs_per_device", asked
    if value is None:
        name, text = "VISIONTRAIN_MAX_RUNS_PER_DEVICE", os.environ.get("VISIONTRAIN_MAX_RUNS_PER_DEVICE") or "1"
        value = int(text) if text.isdecimal() else 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpecError(name, "must be a whole number from 1")
    return value
