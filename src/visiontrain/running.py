"""The runs of a home: what each kind of them needs to be started, found and followed."""

from __future__ import annotations

import os
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
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
    from visiontrain.plugin.trackers import TrackerManifest
    from visiontrain.rundir.directory import RunDirectories
    from visiontrain.runners.starting import Launched, Terms
    from visiontrain.runners.supervised import SupervisorLink
    from visiontrain.supervisor.launch import Deadlines
    from visiontrain.supervisor.record import RunRecord
    from visiontrain.tracking.pages import Pages
    from visiontrain.tracking.state import TrackingState
    from visiontrain.tracking.syncing import Sent

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

    def sync(
        self, run: str | None = None, *, checkpoints: bool = False, register: str | None = None, progress: bool = True
    ) -> list[Sent]:
        """Send to the tracker what it has missed: because it was down, or refused, or could not be built.

        Args:
            run: Id, unique prefix, name, or ``last``; None: every run that is over and of which something is missing.
            checkpoints: Send the run's checkpoints, too.
            register: The registered model that becomes one version richer: by the model that the export `run` has left.
            progress: Show what goes on, on stderr.

        Raises:
            SpecError: `checkpoints` or `register` is asked for and no run is named, or it has none.
            TrackingError: the tracker did not take it, or the run is not tracked. Nothing is lost: of several runs all
                others were sent.
            EnvironmentBuildError: the tracker's environment could not be built.
        """
        from visiontrain.tracking.state import pending_runs
        from visiontrain.tracking.syncing import Syncer

        if run is None and (checkpoints or register is not None):
            field = "checkpoints" if checkpoints else "register"
            raise SpecError(field, "is for one run", instruction="Name it: visiontrain runs sync RUN")
        found = list(pending_runs(self.home)) if run is None else [self._directories.find(run)]
        files: list[Path] = []
        if run is not None:
            files = _checkpoints(self._run(found[0])) if checkpoints else []
            if register is not None:
                _check_exported(self._run(found[0]).record)
        with (
            self._observer(progress=progress) as observer,
            Syncer(self.home, self._trackers, passthrough=self.passthrough, building=observer.building) as syncer,
        ):
            if run is None:
                return syncer.send_each(found[::-1])
            return [syncer.send(found[0], files=files, register_as=register)]

    @contextmanager
    def pages(self, *, port: int = 5000, observer: Observer | None = None) -> Iterator[Pages]:
        """Show the tracker's page on the runs of this home, for as long as the context lasts.

        Args:
            port: Where its server listens, for this machine alone.
            observer: Is told how the tracker's environment is built.

        Raises:
            SpecError: no plugin adds a tracker, or the port is taken.
            EnvironmentBuildError: the tracker's environment could not be built.
            TrackingError: the server did not start.
        """
        from visiontrain.observers import Silent
        from visiontrain.tracking.pages import serve_pages

        self.home.prepare()
        told = observer or Silent()
        with serve_pages(self.home, self._tracker(), port=port, building=told.building) as pages:
            yield pages

    def tracking_address(self) -> str | None:
        """Where runs are tracked unless another place is named, without a password; None: in this home, or nowhere.

        Raises:
            SpecError: no plugin adds a tracker.
        """
        from visiontrain.tracking.targets import OFF, VARIABLE, without_password

        uri = os.environ.get(VARIABLE) or os.environ.get(self._tracker().uri_variable)
        return without_password(uri) if uri and uri != OFF else None

    def _tracker(self) -> TrackerManifest:
        from visiontrain.tracking.targets import no_tracker

        if not self._trackers:
            raise no_tracker("tracking")
        return next(iter(self._trackers.values()))

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


def _checkpoints(run: Run) -> list[Path]:
    found = [path for path in (run.best_checkpoint, run.last_checkpoint) if path is not None and path.is_file()]
    if not found:
        raise SpecError("checkpoints", f"the run {run.run_id} has none")
    return found


def _check_exported(record: RunRecord) -> None:
    if record.kind != "export" or record.status != "completed" or record.spec.get("format") != "onnx":
        raise SpecError(
            "register",
            f"the run {record.run_id} is no completed export to ONNX",
            instruction=f"Export it, then name the export's run: visiontrain export {record.parent or record.run_id}",
        )


def _runs_per_device(asked: int | None) -> int:
    name, value = "max_runs_per_device", asked
    if value is None:
        name, text = "VISIONTRAIN_MAX_RUNS_PER_DEVICE", os.environ.get("VISIONTRAIN_MAX_RUNS_PER_DEVICE") or "1"
        value = int(text) if text.isdecimal() else 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpecError(name, "must be a whole number from 1")
    return value
