"""The Python API: what the module's functions and the command line stand on."""

from __future__ import annotations

import fnmatch
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visiontrain.errors import EnvironmentBuildError, PlatformError
from visiontrain.home import Home

# Touching `visiontrain.train` must not cost what training costs: each method imports what it needs.
if TYPE_CHECKING:
    from visiontrain.datasets.progress import IndexProgress
    from visiontrain.datasets.report import DatasetReport
    from visiontrain.environments.definition import EnvironmentDefinition
    from visiontrain.environments.generation import Generation
    from visiontrain.environments.progress import BuildProgress
    from visiontrain.handles import Run, RunHandle
    from visiontrain.observers import Observer
    from visiontrain.plugins.discovery import Plugin
    from visiontrain.protocol.tasks import Task
    from visiontrain.runners.launching import Launched
    from visiontrain.runners.plan import Planner
    from visiontrain.runners.routing import Framework
    from visiontrain.runners.supervised import SupervisorLink
    from visiontrain.runs.directory import RunDirectories
    from visiontrain.specs import TrainSpec
    from visiontrain.supervisor.launch import Deadlines

__all__ = ["Model", "Session", "default_session", "follow_to_end"]


@dataclass(frozen=True)
class Model:
    """A model that can be trained.

    Args:
        name: The name that `train` takes.
        framework: The framework that knows it.
        tasks: What it can be trained for.
        pretrained: Tags of its published weights, the default first; ``NAME.TAG`` asks for one of them.
    """

    name: str
    framework: str
    tasks: tuple[str, ...]
    pretrained: tuple[str, ...]


class Session:
    """One home and what is done in it. Thread safe; make as many as you like.

    Args:
        home: Where environments, runs and indexes live; by default ``VISIONTRAIN_HOME``, else the platform's folder.
        passthrough: Names or patterns of environment variables that reach workers beside the allow-list.
        deadlines: Seconds that each step of stopping a run is given.

    Raises:
        PlatformError: the operating system is not Linux or macOS.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        passthrough: Iterable[str] = (),
        deadlines: Deadlines | None = None,
    ) -> None:
        if sys.platform == "win32":
            raise PlatformError(
                "visiontrain does not run on Windows yet",
                instruction="Use Linux or macOS; on Windows, the Windows Subsystem for Linux works.",
            )
        self.home = Home.locate(home)
        self._passthrough = tuple(passthrough)
        self._deadlines = deadlines
        # While a link is open its run is attached; one that was dropped would stop the run.
        self._attached: dict[str, SupervisorLink] = {}
        self._lock = threading.Lock()

    # -- runs -------------------------------------------------------------------------------------------------------

    def train(self, data: str | os.PathLike[str], *, model: str, progress: bool = True, **options: Any) -> Run:
        """Train, and wait for the end.

        Args:
            data: The dataset's folder.
            model: The model's name.
            progress: Show what goes on, on stderr.
            options: Fields of `TrainSpec` and options of the plugin.

        Raises:
            InputError: the request can't be carried out.
            RunError: the run did not complete.
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
            data: The dataset's folder.
            model: The model's name.
            detach: Let the run go on when this process ends; otherwise it is stopped, leaving a checkpoint.
            observer: Is told what goes on before the start.
            options: Fields of `TrainSpec` and options of the plugin.

        Raises:
            InputError: the request can't be carried out; nothing was started.
            EnvironmentBuildError: the environment could not be built.
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
        launched = launch(planner, plan, self._directories, detached=detach, deadlines=self._stop_deadlines)
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

    # -- what there is ----------------------------------------------------------------------------------------------

    def plugins(self) -> tuple[Plugin, ...]:
        """Installed plugins; broken ones among them, with their error."""
        return self._plugins

    def models(self, pattern: str = "*", *, framework: str | None = None) -> list[Model]:
        """Models whose name matches, by framework and name.

        Args:
            pattern: As `fnmatch` takes it: ``resnet*``.
            framework: Only this framework's.

        Raises:
            EnvironmentBuildError: no environment has been built that could say.
        """
        chosen = self._frameworks
        if framework is not None:
            chosen = (self.framework(framework),)
        found: list[Model] = []
        unread: list[str] = []
        for candidate in chosen:
            catalog = self._planner.catalog_of(candidate)
            name = candidate.manifest.name
            if catalog is None:
                unread.append(name)
                continue
            found += [
                Model(info.name, name, info.tasks, info.pretrained)
                for info in catalog.models
                if fnmatch.fnmatchcase(info.name, pattern)
            ]
        if unread and len(unread) == len(chosen):
            raise EnvironmentBuildError(
                f"the models of {', '.join(unread)} are not known yet: their environment has to be built first",
                instruction=f"Build it: visiontrain env build {unread[0]}",
            )
        return found

    def check_dataset(
        self,
        data: str | os.PathLike[str],
        *,
        task: Task | str | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> DatasetReport:
        """Read a dataset, decode every image, and report what is wrong with it.

        Raises:
            DatasetError: it is no dataset of a known layout.
        """
        from visiontrain.datasets.check import check_dataset
        from visiontrain.protocol.tasks import Task

        return check_dataset(
            Path(data).expanduser().absolute(),
            folder=self.home.datasets,
            task=None if task is None else Task(task),
            seed=seed,
            batch_size=batch_size,
            progress=progress,
        )

    # -- environments -----------------------------------------------------------------------------------------------

    def environments(self) -> list[Generation]:
        """Every generation of every environment that has been built or adopted."""
        return self._planner.store.generations()

    def definition(self, name: str) -> EnvironmentDefinition:
        """The definition of a framework's environment.

        Raises:
            SpecError: no installed plugin has an environment of that name.
        """
        from visiontrain.environments.definition import EnvironmentDefinition

        return EnvironmentDefinition.load(self.framework(name).manifest.environment)

    def build_environment(
        self,
        name: str,
        *,
        torch_backend: str | None = None,
        progress: Callable[[BuildProgress], None] | None = None,
    ) -> Generation:
        """Build a framework's environment, or make the one that is built current, and read its catalogue."""
        from visiontrain.observers import Silent

        told = progress or Silent().building
        built = self._planner.store.build(self.definition(name), torch_backend=torch_backend, progress=told)
        self._planner.catalog(self.framework(name), built, told)
        return built

    def adopt_environment(self, name: str, python: str | os.PathLike[str]) -> Generation:
        """Use an existing interpreter as a framework's environment: checked, never written to, marked unlocked."""
        from visiontrain.observers import Silent

        adopted = self._planner.store.adopt(self.definition(name), Path(python).expanduser().absolute())
        self._planner.catalog(self.framework(name), adopted, Silent().building)
        return adopted

    def use_environment(self, name: str, generation: str) -> Generation:
        """Make a kept generation the current one, until another is built or used: going back takes a moment."""
        return self._planner.store.use(self.definition(name).name, generation)

    def remove_environment(self, name: str, generation: str | None = None) -> tuple[str, ...]:
        """Remove a generation, or all of an environment's, and give their ids; one that a run uses is refused."""
        return self._planner.store.remove(name, generation)

    def framework(self, name: str) -> Framework:
        """The framework that goes by a name.

        Raises:
            SpecError: no installed plugin adds it.
        """
        from visiontrain.runners.routing import route_framework

        return route_framework(name, self._frameworks, self._plugins)

    # -- inside -----------------------------------------------------------------------------------------------------

    @cached_property
    def _plugins(self) -> tuple[Plugin, ...]:
        from visiontrain.plugins.discovery import discover

        return discover()

    @cached_property
    def _frameworks(self) -> tuple[Framework, ...]:
        from visiontrain.runners.routing import frameworks_of

        return frameworks_of(self._plugins)

    @cached_property
    def _planner(self) -> Planner:
        from visiontrain.runners.plan import Planner

        return Planner(self.home, self._frameworks, self._plugins, self._passthrough)

    @cached_property
    def _directories(self) -> RunDirectories:
        from visiontrain.runs.directory import RunDirectories

        return RunDirectories(self.home.runs)

    @cached_property
    def _stop_deadlines(self) -> Deadlines:
        from visiontrain.supervisor.launch import Deadlines

        return self._deadlines or Deadlines()

    def _handle(self, launched: Launched, detached: bool) -> RunHandle:
        from visiontrain.handles import Run, RunHandle

        run = Run(launched.run_dir, self._resume_to_end)
        with self._lock:
            self._attached = {run_id: link for run_id, link in self._attached.items() if not link.closed}
            if not detached:
                self._attached[run.run_id] = launched.link
        return RunHandle(run, launched.link, offset=launched.offset)

    def _resume_to_end(self, run_id: str, epochs: int | None) -> Run:
        with self._observer(progress=True) as observer:
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
        handle.stop()
        observer.stopping(handle.run_id)
        try:
            _tell_all(handle, observer)
        except KeyboardInterrupt:
            handle.kill()
            _tell_all(handle, observer)
        observer.ended(handle.run)
        raise
    observer.ended(handle.run)
    return handle.run.raise_for_status()


def _tell_all(handle: RunHandle, observer: Observer) -> None:
    for event in handle.events():
        observer.event(event)


_default: Session | None = None
_default_lock = threading.Lock()


def default_session() -> Session:
    """The session that the module's functions use; made when one of them is first called."""
    global _default  # noqa: PLW0603 - one session a process is what a module-level function means
    with _default_lock:
        if _default is None:
            _default = Session()
        return _default
