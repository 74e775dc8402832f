"""Real runs of a plugin under watch: a home of their own, the environments of the person's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.generation import VENV_FOLDER, Generation
from visiontrain.following import RunHandle
from visiontrain.handles import Run
from visiontrain.home import Home
from visiontrain.plugin.discovery import Plugin
from visiontrain.runners.catalog import Catalog, read_catalog
from visiontrain.runners.links import package_folder
from visiontrain.runners.plan import Planner
from visiontrain.runners.routing import Framework, frameworks_of
from visiontrain.session import Session
from visiontrain.supervisor.launch import Deadlines, WorkerCommand
from visiontrain.testing.worker.guard import GO, HELD, OFFERS
from visiontrain.testing.worker.settings import VARIABLE, Hold, Settings, write_settings
from visiontrain.testing.worker.watch import FINDINGS

__all__ = ["Finding", "Laboratory", "Trial", "read_findings"]

_GUARD = "visiontrain.testing.worker.guard:GuardedTrainer"


@dataclass(frozen=True)
class Finding:
    """What a worker did that it should not. `kind`: ``write`` or ``network``; `where`: the code that did it."""

    kind: str
    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.what}\n    {self.where}"


@dataclass(frozen=True)
class Trial:
    """One attempt at a run, and the kit's folder beside it."""

    handle: RunHandle
    folder: Path

    @property
    def is_held(self) -> bool:
        """Whether the training has come to where it is held."""
        return (self.folder / HELD).exists()

    @property
    def log(self) -> str:
        """The end of what the worker printed."""
        return self.handle.run.log[-2000:]

    def let_go(self) -> None:
        """Let a training that is held go on."""
        (self.folder / GO).touch()

    @property
    def offers(self) -> frozenset[str]:
        """What the trainer offers beside training: evaluate, predict, export."""
        return frozenset(json.loads((self.folder / OFFERS).read_text(encoding="utf-8")))

    def findings(self, kind: str) -> list[Finding]:
        """What the worker did that it should not, each once."""
        return [finding for finding in read_findings(self.folder) if finding.kind == kind]


class Laboratory:
    """Where a plugin's framework is tried out.

    Args:
        folder: An empty folder: the home, and the folders that the worker takes for the person's own.
        plugin: The plugin.
        framework: The framework's name.
        caches: Folders below the person's home folder that the framework may write to.
        stop_within: Seconds that a stop may take.
        passthrough: Further environment variables that the worker sees.
    """

    def __init__(
        self,
        folder: Path,
        plugin: Plugin,
        framework: str,
        *,
        caches: tuple[str, ...] = (),
        stop_within: float = 60.0,
        passthrough: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self._plugin = plugin
        self._name = framework
        self._caches = caches
        self._deadlines = Deadlines(stop=stop_within)
        self._passthrough = passthrough
        self._trials = 0
        for own in (self.person, self.temporary):
            own.mkdir(parents=True)

    @property
    def person(self) -> Path:
        """What the worker takes for the person's home folder."""
        return self.folder / "person"

    @property
    def temporary(self) -> Path:
        """The worker's folder for temporary files."""
        return self.folder / "tmp"

    @cached_property
    def framework(self) -> Framework:
        """The framework under test."""
        return next(found for found in frameworks_of([self._plugin]) if found.manifest.is_called(self._name))

    @cached_property
    def environment(self) -> Generation:
        """The framework's environment, built if need be."""
        session = self._session(self._new_folder())
        definition = EnvironmentDefinition.load(self.framework.manifest.environment)
        return session.planner.store.ensure(definition)

    @cached_property
    def catalog(self) -> Catalog:
        """What the trainer says of itself today; what an earlier version of it said is forgotten."""
        command = self._session(self._new_folder()).planner.command(self.framework, self.environment, {})
        return read_catalog(command, self.environment.catalog_path, self.framework.edition)

    def start(self, data: Path, *, hold: Hold | None = None, noise: bool = False, **request: Any) -> Trial:
        """Start a run."""
        folder = self._new_folder()
        session = self._session(folder, hold=hold, noise=noise)
        return Trial(session.start(data, **request), folder)

    def resume(self, trial: Trial) -> Trial:
        """Go on with a run."""
        folder = self._new_folder()
        return Trial(self._session(folder).resume(trial.handle.run_id), folder)

    def evaluate(self, run: Run, *, hold: Hold | None = None, **request: Any) -> Trial:
        """Start the evaluation of a run's model."""
        folder = self._new_folder()
        return Trial(self._session(folder, hold=hold).start_evaluation(run.run_id, **request), folder)

    def export(self, run: Run, format: str) -> Trial:  # noqa: A002 - as `Session.export`
        """Start the export of a run's model."""
        folder = self._new_folder()
        return Trial(self._session(folder).start_export(run.run_id, format), folder)

    @contextmanager
    def predictor(self) -> Iterator[tuple[Session, Path]]:
        """A session to predict with, and the kit's folder beside it; its worker is ended with the context."""
        folder = self._new_folder()
        with self._session(folder) as session:
            yield session, folder

    def findings(self, kind: str) -> list[Finding]:
        """What workers did that they should not, in all trials so far, each once."""
        folders = sorted(self.folder.glob("trial-*"))
        return list(dict.fromkeys(found for folder in folders for found in read_findings(folder) if found.kind == kind))

    def python(self, code: str, *arguments: str) -> list[str]:
        """A command that runs code with the environment's interpreter, on the worker's own `sys.path`."""
        argv = self._session(self._new_folder()).planner.command(self.framework, self.environment, {}).argv
        start = argv.index("-c")
        return [
            *argv[:start],
            "-c",
            f"import sys; sys.path.append(sys.argv[1]); {code}",
            *argv[start + 2 :],
            *arguments,
        ]

    def files(self, *others: Path) -> dict[str, tuple[int, int]]:
        """Size and time of every file that a run must leave alone, by path; folders have the size -1."""
        code = [package_folder(name) for name in self.framework.manifest.packages]
        found: dict[str, tuple[int, int]] = {}
        packages = self.environment.path / VENV_FOLDER  # beside it lies what visiontrain itself keeps
        for root in (self.person, self.temporary, packages, *code, *others):
            if root.exists():  # an adopted interpreter has its packages elsewhere
                found.update(_files(root))
        return {path: facts for path, facts in found.items() if not self._is_cache(path)}

    def _is_cache(self, path: str) -> bool:
        return any(Path(path).is_relative_to(self.person / cache) for cache in self._caches)

    def _new_folder(self) -> Path:
        self._trials += 1
        folder = self.folder / f"trial-{self._trials}"
        folder.mkdir()
        return folder

    def _session(self, folder: Path, *, hold: Hold | None = None, noise: bool = False) -> _WatchedSession:
        settings = Settings(
            trainer=self.framework.manifest.trainer,
            folder=str(folder),
            may_write=(str(self.temporary), *(str(self.person / cache) for cache in self._caches)),
            hold=hold,
            noise=noise,
        )
        variables = {
            VARIABLE: write_settings(settings),
            "HOME": str(self.person),
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.person / ".cache"),
        }
        home = _SharedHome(self.folder / "visiontrain", Home.locate().environments)
        return _WatchedSession(home, self._plugin, variables, deadlines=self._deadlines, passthrough=self._passthrough)


def read_findings(folder: Path) -> list[Finding]:
    """The findings in a kit's folder, each once."""
    try:
        lines = (folder / FINDINGS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return list(dict.fromkeys(Finding(**json.loads(line)) for line in lines))


@dataclass(frozen=True)
class _SharedHome(Home):
    """A home with another one's environments: building them again would take minutes, and test nothing."""

    shared: Path

    @property
    def environments(self) -> Path:
        return self.shared


class _WatchedSession(Session):
    """A session that knows one plugin, whose trainer is watched."""

    def __init__(
        self,
        home: Home,
        plugin: Plugin,
        variables: Mapping[str, str],
        *,
        deadlines: Deadlines,
        passthrough: tuple[str, ...],
    ) -> None:
        super().__init__(home.root, deadlines=deadlines, passthrough=passthrough)
        self.home = home
        self._plugin = plugin
        self._variables = variables

    @property
    def planner(self) -> Planner:
        """What decides how workers are started."""
        return self._planner

    @cached_property
    def _plugins(self) -> tuple[Plugin, ...]:
        return (self._plugin,)

    @cached_property
    def _planner(self) -> Planner:
        return _WatchingPlanner(self.home, self._frameworks, self._plugins, self.passthrough, variables=self._variables)


class _WatchingPlanner(Planner):
    """Starts every worker with the guard before the plugin's trainer."""

    def __init__(self, *arguments: Any, variables: Mapping[str, str]) -> None:
        super().__init__(*arguments)
        self._variables = variables

    def command(self, framework: Framework, environment: Generation, fixed: dict[str, str]) -> WorkerCommand:
        command = super().command(framework, environment, {**fixed, **self._variables})
        return replace(command, trainer=_GUARD)


def _files(root: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":  # the interpreter's own, and nothing that a plugin decides
                        yield entry.path, (-1, 0)
                        folders.append(entry.path)
                else:
                    facts = entry.stat(follow_symlinks=False)
                    yield entry.path, (facts.st_size, facts.st_mtime_ns)
