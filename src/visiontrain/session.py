"""The Python API: what the module's functions and the command line stand on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from visiontrain.errors import SpecError, UnknownRunError
from visiontrain.installation import Installation

# Touching `visiontrain.train` must not cost what training costs: each method imports what it needs.
if TYPE_CHECKING:
    from visiontrain.handles import Run, RunHandle
    from visiontrain.observers import Observer
    from visiontrain.rundir.directory import RunDirectories
    from visiontrain.runners.launching import Launched
    from visiontrain.runners.supervised import SupervisorLink
    from visiontrain.specs import TrainSpec
    from visiontrain.supervisor.launch import Deadlines, DeviceLimit

__all__ = ["Session", "default_session", "follow_to_end"]


class Session(Installation):
    """One home and what is done in it. Thread safe; make as many as you like.

    Args:
        home: Where environments, runs and indexes live; by default ``VISIONTRAIN_HOME``, else the platform's folder.
        passthrough: Names or patterns of environment variables that reach workers beside the allow-list, and beside
            those that ``VISIONTRAIN_PASSTHROUGH`` names.
        deadlines: Seconds that each step of stopping a run is given.
        max_runs_per_device: How many runs of the home may use a device (a GPU, or the CPU) at once; further ones wait
            in order. By default ``VISIONTRAIN_MAX_RUNS_PER_DEVICE``, else 1: trainings that share one finish later
            than one after the other.

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

    def train(self, data: str | os.PathLike[str], *, model: str, progress: bool = True, **options: Any) -> Run:
        """Train, and wait for the end.

        Args:
            data: The dataset's folder, or its label file (CSV or JSONL).
            model: The model's name.
            progress: Show what goes on, on stderr.
            options: Fields of `TrainSpec` and options of the plugin.

        Raises:
            InputError: the request can't be carried out.
            RunError: the run did not complete.
            StorageError: the disk is full or fails, before the run or while it went on.
            KeyboardInterrupt: after a Ctrl-C, once the run has stopped and left its checkpoint.
        """
        with self._observer(progress=progress) as observer:
            return follow_to_end(self.start(data, model=model, observer=observer, **options), observer)

    def start(
        self,
        data: str | os.PathLike[str],
        *,
        model: str,
        detach: bool = False,
        observer: Observer | None = None,
        **options: Any,
    ) -> RunHandle:
        """Start a training and return at once after its preparation.

        Args:
            data: The dataset's folder, or its label file (CSV or JSONL).
            model: The model's name.
            detach: Let the run go on when this process ends; otherwise it is stopped, leaving a checkpoint.
            observer: Is told what goes on before the start.
            options: Fields of `TrainSpec` and options of the plugin.

        Raises:
            InputError: the request can't be carried out; nothing was started.
            EnvironmentBuildError: the environment could not be built.
            StorageError: the disk is full or fails, or has no locks; nothing was started.
        """
        from visiontrain.specs import make_train_spec

        return self.start_spec(make_train_spec(data=data, model=model, **options), detach=detach, observer=observer)

    def start_spec(self, spec: TrainSpec, *, detach: bool = False, observer: Observer | None = None) -> RunHandle:
        """`start`, from a spec."""
        from visiontrain.observers import Silent
        from visiontrain.runners.launching import launch

        told = observer or Silent()
        planner = self._planner
        plan = planner.plan(spec, told)
        told.planned(plan)
        launched = launch(
            planner,
            plan,
            self._directories,
            detached=detach,
            deadlines=self._stop_deadlines,
            limit=self._device_limit,
        )
        return self._handle(launched, detach)

    def resume(
        self, run: str = "last", *, epochs: int | None = None, detach: bool = False, observer: Observer | None = None
    ) -> RunHandle:
        """Go on with a run from its last checkpoint, in the environment and on the data that it had.

        Args:
            run: Id, unique prefix, name, or ``last``.
            epochs: A new total of epochs; needed for a run that is completed.
            detach: Let it go on when this process ends.
            observer: Is told what goes on before the start.

        Raises:
            UnknownRunError: no run answers to `run`.
            RunBusyError: it is going on.
            DatasetError: the data changed.
        """
        from visiontrain.observers import Silent
        from visiontrain.runners.launching import relaunch

        launched = relaunch(
            self._planner,
            self._directories.find(run),
            observer or Silent(),
            epochs=epochs,
            detached=detach,
            deadlines=self._stop_deadlines,
            limit=self._device_limit,
        )
        return self._handle(launched, detach)

    def run(self, run: str = "last") -> Run:
        """The run that an id, a unique prefix, a name, or ``last`` names.

        Raises:
            UnknownRunError: none does, or more than one.
        """
        from visiontrain.handles import Run

        return Run(self._directories.find(run), self._resume_to_end)

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        from visiontrain.handles import Run

        return [Run(path, self._resume_to_end) for path in self._directories.paths()]

    def follow(self, run: str = "last") -> RunHandle:
        """A handle on a run, whichever process started it; its events begin with the run's first."""
        from visiontrain.handles import RunHandle

        return RunHandle(self.run(run), None)

    @cached_property
    def _directories(self) -> RunDirectories:
        from visiontrain.rundir.directory import RunDirectories

        self.home.check_readable()
        return RunDirectories(self.home.runs)

    @cached_property
    def _stop_deadlines(self) -> Deadlines:
        from visiontrain.supervisor.launch import Deadlines

        return self._deadlines or Deadlines()

    @property
    def _device_limit(self) -> DeviceLimit:
        from visiontrain.supervisor.launch import DeviceLimit

        return DeviceLimit(str(self.home.devices), self._runs_per_device)

    def _handle(self, launched: Launched, detached: bool) -> RunHandle:
        from visiontrain.handles import Run, RunHandle

        run = Run(launched.run_dir, self._resume_to_end)
        with self._lock:
            self._attached = {run_id: link for run_id, link in self._attached.items() if not link.closed}
            if not detached:
                self._attached[run.run_id] = launched.link
        return RunHandle(run, launched.link, offset=launched.offset)

    def _resume_to_end(self, run_id: str, epochs: int | None, progress: bool) -> Run:
        with self._observer(progress=progress) as observer:
            return follow_to_end(self.resume(run_id, epochs=epochs, observer=observer), observer)

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


_default: Session | None = None
_default_lock = threading.Lock()


def default_session() -> Session:
    """The session that the module's functions use; made when one of them is first called."""
    global _default  # noqa: PLW0603 - one session a process is what a module-level function means
    with _default_lock:
        if _default is None:
            _default = Session()
        return _default
