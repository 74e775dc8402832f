"""What a home offers before anything runs: plugins, models, environments, datasets."""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from visiontrain.errors import EnvironmentBuildError, PlatformError, RunFailedError, WorkerCrashedError
from visiontrain.home import Home
from visiontrain.runners.variables import passthrough_patterns

# Touching `visiontrain.train` must not cost what training costs: each method imports what it needs.
if TYPE_CHECKING:
    from visiontrain.datasets.progress import IndexProgress
    from visiontrain.datasets.report import DatasetReport
    from visiontrain.environment.definition import EnvironmentDefinition
    from visiontrain.environment.generation import Generation
    from visiontrain.environment.progress import BuildProgress
    from visiontrain.plugin.discovery import Plugin
    from visiontrain.plugin.trackers import TrackerManifest
    from visiontrain.protocol.tasks import Task
    from visiontrain.runners.plan import Planner
    from visiontrain.runners.routing import Framework

__all__ = ["Installation", "Model"]


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


class Installation:
    """One home, with the plugins of this Python. `visiontrain.session.Session` is one that also runs.

    Args:
        home: Where environments, runs and indexes live; by default ``VISIONTRAIN_HOME``, else the platform's folder.
        passthrough: Names or patterns of environment variables that reach workers beside the allow-list, and beside
            those that ``VISIONTRAIN_PASSTHROUGH`` names.

    Raises:
        PlatformError: the operating system is not Linux or macOS.
        SpecError: `home` is no path, or something in `passthrough` no name.
    """

    def __init__(self, home: str | os.PathLike[str] | None = None, *, passthrough: Iterable[str] = ()) -> None:
        if sys.platform == "win32":
            raise PlatformError(
                "visiontrain does not run on Windows yet",
                instruction="Use Linux or macOS; on Windows, the Windows Subsystem for Linux works.",
            )
        self.home = Home.locate(home)
        self.passthrough = passthrough_patterns(passthrough)

    def plugins(self) -> tuple[Plugin, ...]:
        """Installed plugins; broken ones among them, with their error."""
        return self._plugins

    def models(self, pattern: str = "*", *, framework: str | None = None) -> list[Model]:
        """Models whose name matches, by framework and name.

        A plugin that is newer than what its environment was asked for last is asked again, which takes seconds.

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
            name, catalog = candidate.manifest.name, None
            try:
                catalog = self._planner.catalog_of(candidate, read=True)
            except (RunFailedError, WorkerCrashedError):
                if framework is not None:  # else one must not harm the others
                    raise
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

        Images of formats that not every Pillow reads are decoded by those of the built environments as well.

        Raises:
            SpecError: `data` is no path, or there is no such task.
            DatasetError: it is no dataset of a known layout.
        """
        from visiontrain.datasets.check import check_dataset
        from visiontrain.specs import absolute_path, parse_task

        root, parsed = absolute_path("data", data), parse_task(task)
        self.home.prepare()
        return check_dataset(
            root,
            folder=self.home.datasets,
            task=parsed,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
            others=self._planner.pillows,
        )

    def environments(self) -> list[Generation]:
        """Every generation of every environment that has been built or adopted."""
        return self._planner.store.generations()

    def definition(self, name: str) -> EnvironmentDefinition:
        """The definition of a framework's environment, or of a tracker's.

        Raises:
            SpecError: no installed plugin has an environment of that name.
        """
        from visiontrain.environment.definition import EnvironmentDefinition

        tracker = self._trackers.get(name)
        manifest = tracker if tracker is not None else self.framework(name).manifest
        return EnvironmentDefinition.load(manifest.environment)

    def build_environment(
        self,
        name: str,
        *,
        torch_backend: str | None = None,
        progress: Callable[[BuildProgress], None] | None = None,
    ) -> Generation:
        """Build a framework's or a tracker's environment, or make the one that is built current.

        Of a framework the catalogue is read, too.
        """
        from visiontrain.observers import Silent

        told = progress or Silent().building
        self.home.prepare()
        built = self._planner.store.build(self.definition(name), torch_backend=torch_backend, progress=told)
        if name not in self._trackers:
            self._planner.catalog(self.framework(name), built, told)
        return built

    def adopt_environment(self, name: str, python: str | os.PathLike[str]) -> Generation:
        """Use an existing interpreter as an environment: checked, never written to, marked unlocked."""
        from visiontrain.observers import Silent
        from visiontrain.specs import absolute_path

        interpreter = absolute_path("python", python)
        self.home.prepare()
        adopted = self._planner.store.adopt(self.definition(name), interpreter)
        if name not in self._trackers:
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

    @cached_property
    def _plugins(self) -> tuple[Plugin, ...]:
        from visiontrain.plugin.discovery import discover

        return discover()

    @cached_property
    def _trackers(self) -> dict[str, TrackerManifest]:
        return {manifest.name: manifest for plugin in self._plugins for manifest in plugin.trackers}

    @cached_property
    def _frameworks(self) -> tuple[Framework, ...]:
        from visiontrain.runners.routing import frameworks_of

        return frameworks_of(self._plugins)

    @cached_property
    def _planner(self) -> Planner:
        from visiontrain.runners.plan import Planner

        self.home.check_readable()
        return Planner(self.home, self._frameworks, self._plugins, self.passthrough)
