"""A framework without a framework: what an app's tests train with, in a second, through the real machinery."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import PIL

from visiontrain.datasets.samples import SAMPLES, make_sample
from visiontrain.environment.definition import DEFINITION_FILE, LOCK_FILE, EnvironmentDefinition
from visiontrain.environment.generation import Generation
from visiontrain.environment.store import EnvironmentStore
from visiontrain.errors import SpecError
from visiontrain.plugin.discovery import Plugin, discover
from visiontrain.plugin.manifest import Defaults, Manifest
from visiontrain.protocol.tasks import OBJECT_TASKS, Task
from visiontrain.runners.supervised import SupervisorLink, start_supervisor
from visiontrain.session import default_session
from visiontrain.specs import parse_task
from visiontrain.supervisor.launch import Launch
from visiontrain.testing.worker.script import VARIABLE, Crash, Failure, Hang, Script, write_script

__all__ = ["FakeFramework", "fake_framework"]

_DEFINITION = 'name = "{name}"\nrequires-python = ">=3.10"\nrequirements = []\nimports = ["json"]\n'


class FakeFramework:
    """The framework that is registered while `fake_framework` is entered.

    Args:
        folder: Where its files lie.
        home: What `visiontrain` takes for its home meanwhile.
        manifest: Its manifest.
        script: What its trainings do.
    """

    def __init__(self, folder: Path, home: Path, manifest: Manifest, script: Script) -> None:
        self.home = home
        self.manifest = manifest
        self._folder = folder
        self._script = script

    @property
    def data(self) -> Path:
        """A dataset of a few generated images for the fake's task, to train on."""
        task = Task(self._script.task)
        name = next((name for name, sample in SAMPLES.items() if sample.task is task), "shapes")
        size = 64 if task in OBJECT_TASKS or task is Task.semantic else 16  # what is drawn needs some room
        return make_sample(name, self._folder / name, images_per_class={"train": 2, "val": 1}, image_size=size)

    @property
    def script_path(self) -> Path:
        """The file that holds the script."""
        return self._folder / "script.json"

    def change(
        self,
        *,
        ends: Failure | Crash | Hang | None = None,
        metrics: Iterable[Mapping[str, float]] | None = None,
        steps: int | None = None,
        step_seconds: float | None = None,
        logs: Iterable[str] | None = None,
        output: str | None = None,
    ) -> None:
        """Let trainings that start from now on, resumed ones among them, do something else.

        Args:
            ends: How they end; None: they complete.
            metrics: As for `fake_framework`, like all that follow; None: as it was.
            steps: Batches an epoch.
            step_seconds: Seconds that a batch takes.
            logs: Messages for the person.
            output: What the trainer prints.

        Raises:
            SpecError: `steps` is not a number from 1.
        """
        before = self._script
        self._script = replace(
            before,
            failure=ends if isinstance(ends, Failure) else None,
            crash=ends if isinstance(ends, Crash) else None,
            hang=ends if isinstance(ends, Hang) else None,
            rows=before.rows if metrics is None else tuple(metrics),
            steps=before.steps if steps is None else steps,
            step_seconds=before.step_seconds if step_seconds is None else step_seconds,
            logs=before.logs if logs is None else tuple(logs),
            output=before.output if output is None else output,
        )
        if self._script.steps < 1:
            raise SpecError("steps", "must be a whole number from 1")
        write_script(self._script, self.script_path)


@contextmanager
def fake_framework(
    models: str | Iterable[str] = "fake_model",
    *,
    name: str = "fake",
    task: Task | str = Task.classify,
    like: str | None = None,
    metrics: Sequence[Mapping[str, float]] = (),
    steps: int = 4,
    step_seconds: float = 0.0,
    logs: Iterable[str] = (),
    output: str = "",
    ends: Failure | Crash | Hang | None = None,
    home: str | os.PathLike[str] | None = None,
) -> Iterator[FakeFramework]:
    """Let this process know one framework, a fake, in a home of its own: what an app's tests train with.

    Session, dataset, supervisor, worker, protocol and record are the real ones; the worker is this Python with a
    trainer that does what it is told, so that no environment is built and nothing is learnt. Sessions that were made
    before are not affected; runs that still go on or wait at the end are killed.

    Args:
        models: The names of its models, or the name of its only one.
        name: The framework's name.
        task: What its models are trained for. Where that is to find objects, two are found in every image: of the
            score 0.9 in its middle, and of 0.4 in its upper left quarter. Where it is semantic, that quarter is of the
            second class, and the rest of the first.
        like: An installed framework whose name, aliases, options and defaults the fake takes over.
        metrics: A row an epoch, by canonical names; the last one again for further epochs. None: made up, better each
            epoch.
        steps: Batches an epoch.
        step_seconds: Seconds that a batch takes.
        logs: Messages for the person, told at the beginning.
        output: What the trainer prints, into the run's log.
        ends: How the training ends before its last epoch: `Failure`, `Crash` or `Hang`.
        home: The home; by default a temporary one, which is removed at the end.

    Raises:
        SpecError: no installed plugin adds the framework `like`; there is no such task; `steps` is not a number from 1.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="visiontrain-fake-"))).resolve()
        place = folder / "home" if home is None else Path(home).expanduser().absolute()
        names = (models,) if isinstance(models, str) else tuple(models)
        trained = parse_task(task) or Task.classify
        manifest = _manifest(folder, name, trained, names, like)
        packages = str(Path(PIL.__file__).parents[1])
        script = Script(models=names, task=str(trained), packages=packages)
        fake = FakeFramework(folder, place, manifest, script)
        fake.change(ends=ends, metrics=metrics, steps=steps, step_seconds=step_seconds, logs=logs, output=output)
        plugin = Plugin(name=manifest.name, distribution="visiontrain", version="fake", frameworks=(manifest,))
        variables = {"VISIONTRAIN_HOME": str(place), VARIABLE: str(fake.script_path)}
        stack.enter_context(mock.patch.dict(os.environ, variables))
        stack.enter_context(mock.patch("visiontrain.plugin.discovery.discover", return_value=(plugin,)))
        stack.enter_context(mock.patch("visiontrain.session._default", None))
        # A run that the app goes on to hold would keep the worker for predictions, too.
        stack.callback(lambda: default_session().close())
        stack.enter_context(mock.patch.object(EnvironmentStore, "build", _adopt))
        links: list[SupervisorLink] = []
        stack.enter_context(mock.patch("visiontrain.runners.starting.start_supervisor", _keep(links)))
        stack.callback(_end_runs, links)
        yield fake


def _manifest(folder: Path, name: str, task: Task, models: tuple[str, ...], like: str | None) -> Manifest:
    made = folder / "environment"
    made.mkdir()
    changes: dict[str, Any] = {
        "tasks": (task,),
        "models": models,
        "auto_batch_size": True,
        "environment": made,
        "trainer": "visiontrain.testing.worker.scripted:ScriptedTrainer",
        "packages": ("visiontrain",),
        "variables": (VARIABLE,),
    }
    if like is None:
        few = Defaults(batch_size=4)  # fewer than `FakeFramework.data` has, so that nobody is warned of it
        manifest = Manifest(
            name=name,
            summary="A fake",
            licence="Apache-2.0",
            defaults=few,
            export_formats=("onnx",),
            **changes,
        )
    else:
        found = [m for plugin in discover() for m in plugin.frameworks if m.is_called(like)]
        if not found:
            raise SpecError("like", f"no installed plugin adds the framework {like!r}")
        manifest = found[0].model_copy(update=changes)
    (made / DEFINITION_FILE).write_text(_DEFINITION.format(name=manifest.name), encoding="utf-8")
    (made / LOCK_FILE).touch()
    return manifest


def _adopt(
    store: EnvironmentStore, definition: EnvironmentDefinition, *, torch_backend: object = None, progress: object = None
) -> Generation:
    """Stands for building: this Python has all that the fake needs."""
    del torch_backend, progress
    return store.adopt(definition, Path(sys.executable))


def _keep(links: list[SupervisorLink]) -> Callable[[Launch], SupervisorLink]:
    """Starts supervisors as ever, and keeps the links to them."""

    def start(launch: Launch) -> SupervisorLink:
        links.append(start_supervisor(launch))
        return links[-1]

    return start


def _end_runs(links: Iterable[SupervisorLink]) -> None:
    """Kill what still goes on, or waits for a device, in whichever home; when this returns, nobody writes any more."""
    for link in links:
        link.say("kill")
    for link in links:
        while not link.closed:
            link.wait(1.0)
