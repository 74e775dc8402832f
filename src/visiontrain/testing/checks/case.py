"""What every check stands on: the class's settings, the plugin, its laboratory, its data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

import pytest

from visiontrain.datasets.samples import SAMPLES, make_sample
from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.errors import VisiontrainError
from visiontrain.plugin.discovery import Plugin, discover
from visiontrain.plugin.manifest import Manifest
from visiontrain.protocol.events import UNFINISHED, Event
from visiontrain.protocol.tasks import Task
from visiontrain.testing.laboratory import Laboratory, Trial

__all__ = ["Case", "expect", "to_the_end", "until"]


#: Numbers that are measured anew in every run.
_MEASURED = ("images_per_second",)


def expect(holds: bool, otherwise: str) -> None:
    """Fail the test with a sentence for the plugin's author, without a traceback through the kit."""
    if not holds:
        pytest.fail(otherwise, pytrace=False)


class Case:
    """Settings of a conformance test; a subclass sets them."""

    #: The framework's name, as the plugin's manifest has it.
    framework: ClassVar[str] = ""
    #: A model of it that trains in seconds.
    model: ClassVar[str] = ""
    #: The manifest, for a plugin that is not installed; by default the installed plugin's.
    manifest: ClassVar[Manifest | None] = None
    #: The task; by default the manifest's first.
    task: ClassVar[str | None] = None
    #: Options of the plugin, and fields of `TrainSpec` that differ from what the kit asks for.
    options: ClassVar[Mapping[str, Any]] = {}
    epochs: ClassVar[int] = 3
    batch_size: ClassVar[int] = 8
    image_size: ClassVar[int | None] = 32
    weights: ClassVar[str] = "scratch"
    device: ClassVar[str] = "cpu"
    #: Images a class in the training split of the generated data; half as many are in the others.
    images_per_class: ClassVar[int] = 8
    #: What these images are written as: jpg, png, or ppm, for frameworks without a decoder.
    image_format: ClassVar[str] = "jpg"
    #: Whether a resumed run gives bit by bit what an uninterrupted one gives. A plugin whose checkpoints say that they
    #: are not exact says so here too.
    exact: ClassVar[bool] = True
    #: Patterns of metrics, and of values in checkpoints, that are measured anew each time: seconds, speeds.
    varying: ClassVar[tuple[str, ...]] = ()
    #: Metrics of the plugin's own, which have no canonical name. Patterns.
    own_metrics: ClassVar[tuple[str, ...]] = ()
    #: Folders below the person's home folder in which the framework keeps a cache, such as ``.cache/fonts``.
    caches: ClassVar[tuple[str, ...]] = ()
    #: Environment variables that the worker sees beside the manifest's.
    passthrough: ClassVar[tuple[str, ...]] = ()
    #: Seconds that a training may take, and that a stop may take.
    patience: ClassVar[float] = 300.0
    stop_within: ClassVar[float] = 60.0

    @classmethod
    def make_data(cls, folder: Path) -> Path:
        """Make a dataset with the splits train and val in an empty folder, and give its path.

        By default the product's own generated sample for the task.
        """
        task = cls.the_task()
        sample = next((name for name, sample in SAMPLES.items() if sample.task == task), None)
        if sample is None:
            pytest.fail(f"visiontrain generates no sample for the task {task}: override make_data()", pytrace=False)
        counts = {"train": cls.images_per_class, "val": max(2, cls.images_per_class // 2)}
        return make_sample(sample, folder, images_per_class=counts, image_size=48, image_format=cls.image_format)

    @classmethod
    def the_task(cls) -> Task:
        """The task that is trained."""
        return Task(cls.task) if cls.task else cls.the_manifest().tasks[0]

    @classmethod
    def the_plugin(cls) -> Plugin:
        """The plugin under test, or a failure that says why there is none."""
        if cls.manifest is not None:
            return Plugin(name=cls.manifest.name, distribution="under-test", version="0", frameworks=(cls.manifest,))
        plugins = discover()
        for plugin in plugins:
            if any(manifest.is_called(cls.framework) for manifest in plugin.frameworks):
                return plugin
        broken = "".join(f"\n{plugin.name}: {plugin.traceback or plugin.error}" for plugin in plugins if plugin.error)
        pytest.fail(
            f"no installed plugin adds the framework {cls.framework!r}: install the plugin (pip install -e .) and "
            f"check the entry point in its pyproject.toml.{broken}",
            pytrace=False,
        )

    @classmethod
    def the_manifest(cls) -> Manifest:
        """The manifest under test."""
        return next(found for found in cls.the_plugin().frameworks if found.is_called(cls.framework or found.name))

    @classmethod
    def the_definition(cls) -> EnvironmentDefinition:
        """The environment's definition, or a failure that says what is wrong with it."""
        said = ""
        try:
            return EnvironmentDefinition.load(cls.the_manifest().environment)
        except VisiontrainError as error:
            said = str(error)  # outside of the except clause, so that pytest shows no traceback
        pytest.fail(f"the environment's definition can't be used: {said}", pytrace=False)

    @classmethod
    def varies(cls, name: str) -> bool:
        """Whether a metric, or a value in a checkpoint by its place, is measured anew each time."""
        patterns = (*_MEASURED, *cls.varying)
        return any(fnmatchcase(part, pattern) for part in (name, name.rpartition(".")[2]) for pattern in patterns)

    @classmethod
    def request(cls, **changes: Any) -> dict[str, Any]:
        """What a training is asked for."""
        asked = {
            "model": cls.model,
            "framework": cls.the_manifest().name,
            "task": cls.the_task(),
            "epochs": cls.epochs,
            "batch_size": cls.batch_size,
            "image_size": cls.image_size,
            "weights": cls.weights,
            "device": cls.device,
        }
        return {**asked, **cls.options, **changes}

    @pytest.fixture(scope="class")
    @classmethod
    def laboratory(cls, tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
        """The plugin's environment, built if need be, and a home for its runs."""
        plugin, manifest = cls.the_plugin(), cls.the_manifest()
        folder = tmp_path_factory.mktemp(f"conformance-{manifest.name}")
        made = Laboratory(
            folder,
            plugin,
            manifest.name,
            caches=cls.caches,
            stop_within=cls.stop_within,
            passthrough=cls.passthrough,
        )
        cls.the_definition()
        said: str | None = None
        try:
            made.environment  # noqa: B018 - built here, before anything is asked of it
            made.catalog  # noqa: B018
        except VisiontrainError as error:
            said = str(error)
        expect(said is None, f"the environment of {manifest.name} can't be used, or not with this trainer: {said}")
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The dataset."""
        return cls.make_data(tmp_path_factory.mktemp("data"))

    @pytest.fixture
    @classmethod
    def start(cls, laboratory: Laboratory, data: Path) -> Iterator[Callable[..., Trial]]:
        """Starts runs; those that a failed test leaves are killed."""
        trials: list[Trial] = []

        def start(*, data: Path = data, hold: Any = None, noise: bool = False, **changes: Any) -> Trial:
            trials.append(laboratory.start(data, hold=hold, noise=noise, **cls.request(**changes)))
            return trials[-1]

        yield start
        for trial in trials:
            if trial.handle.status in UNFINISHED:
                trial.handle.kill()
                to_the_end(trial, within=cls.patience)


def to_the_end(trial: Trial, *, within: float) -> tuple[Event, ...]:
    """An attempt's events to its end; one that takes longer than `within` seconds is killed, and the test fails."""
    try:
        return tuple(trial.handle.events(timeout=within))
    except TimeoutError:
        trial.handle.kill()
        for _ in trial.handle.events(timeout=within):
            pass
    pytest.fail(f"the training did not end within {within:g} s; it is killed. Its log:\n{trial.log}", pytrace=False)


def until(condition: Callable[[], bool], trial: Trial, *, within: float) -> bool:
    """Wait for a condition, as long as the run goes on; whether it came."""
    deadline = time.monotonic() + within
    while not condition():
        if trial.handle.status not in UNFINISHED or time.monotonic() > deadline:
            return condition()
        time.sleep(0.02)
    return True
