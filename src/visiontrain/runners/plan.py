"""From a spec to all that a run needs: framework, data, environment. Cheap checks come before heavy ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from visiontrain.datasets.pillow import Pillow, pillow_of
from visiontrain.datasets.progress import IndexProgress
from visiontrain.datasets.report import IndexedDataset
from visiontrain.datasets.tasks import UnservedTaskError
from visiontrain.datasets.writer import index_dataset
from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.generation import Generation
from visiontrain.environment.progress import BuildProgress
from visiontrain.environment.store import EnvironmentStore
from visiontrain.errors import DatasetError, EnvironmentBuildError, PluginError, SpecError
from visiontrain.home import Home
from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.manifest import OptionValue
from visiontrain.protocol.messages import ModelInfo
from visiontrain.protocol.tasks import Task
from visiontrain.runners.catalog import Catalog, load_catalog, read_catalog
from visiontrain.runners.command import worker_command
from visiontrain.runners.routing import Framework, route, route_framework, unknown_model
from visiontrain.runners.tasking import refuse_data, tasks_of
from visiontrain.specs import TrainSpec, unknown_option
from visiontrain.supervisor.launch import WorkerCommand

if TYPE_CHECKING:
    from visiontrain.runners.trained import TrainedModel
    from visiontrain.runners.using import UsePlan

__all__ = ["Plan", "PlanObserver", "Planner"]


class PlanObserver(Protocol):
    """Is told what is going on before a run starts."""

    def indexing(self, progress: IndexProgress) -> None:
        """The dataset is being read."""

    def building(self, progress: BuildProgress) -> None:
        """An environment is being built."""

    def planned(self, plan: Plan) -> None:
        """Everything is decided; the training starts next."""

    def using(self, plan: UsePlan) -> None:
        """Everything is decided; the evaluation or export starts next."""

    def predicting(self, trained: TrainedModel) -> None:
        """Everything is decided; images are predicted next."""


@dataclass(frozen=True)
class Plan:
    """What was decided. `options` holds every option of the framework with the value that it will have."""

    spec: TrainSpec
    framework: Framework
    environment: Generation
    dataset: IndexedDataset
    task: Task
    model: ModelInfo | None  # None for a name that points outside the catalogue
    options: dict[str, OptionValue | None]
    epochs: int
    batch_size: int  # the framework's default where the trainer shall find one
    image_size: int | None

    @property
    def auto_batch_size(self) -> bool:
        """Whether the trainer finds the batch size."""
        return self.spec.batch_size == "auto"


class Planner:
    """Decides what a spec leaves open.

    Args:
        home: Where environments and indexes live.
        frameworks: The frameworks that can be used.
        plugins: All installed plugins, for what an error can say of broken ones.
        passthrough: Names or patterns of further environment variables that reach workers.
    """

    def __init__(
        self,
        home: Home,
        frameworks: tuple[Framework, ...],
        plugins: tuple[Plugin, ...] = (),
        passthrough: Iterable[str] = (),
    ) -> None:
        self.home = home
        self._frameworks = frameworks
        self._plugins = plugins
        self._passthrough = tuple(passthrough)
        self.store = EnvironmentStore(home.environments)

    def plan(self, spec: TrainSpec, observer: PlanObserver, *, needs_weights: bool = True) -> Plan:
        """Decide everything; index the data and build the environment where that was not done before.

        Args:
            spec: What the person asks for.
            observer: Is told what goes on.
            needs_weights: Whether the first weights will be read; a run that has a checkpoint does not need them again.

        Raises:
            InputError: the request can't be carried out.
            EnvironmentBuildError: the environment could not be built.
        """
        framework = self.framework(spec)
        manifest = framework.manifest
        options = _options(framework, spec)
        manifest.check_device(spec.device)
        manifest.check_batch_size(spec.batch_size)
        if needs_weights:
            manifest.check_weights(spec.first_weights().source)
            spec.check_weights()
        catalog = self.catalog_of(framework)
        tasks = tasks_of(framework, catalog.find(spec.model) if catalog else None, spec.task, self._frameworks)
        batch_size = spec.batch_size if isinstance(spec.batch_size, int) else manifest.defaults.batch_size
        self.home.prepare()
        read = partial(
            index_dataset,
            spec.data,
            folder=self.home.datasets,
            task=spec.task,
            among=tasks,
            seed=spec.seed,
            batch_size=None if spec.batch_size == "auto" else batch_size,  # what is found is never more than there are
            skip_unreadable=spec.skip_unreadable,
            progress=observer.indexing,
        )
        try:
            dataset = read()
        except UnservedTaskError as error:
            raise refuse_data(error, framework, self._frameworks) from error
        if dataset.multi_label and not manifest.multi_label:
            raise DatasetError(
                f"{dataset.source} gives images several labels each, and the framework {manifest.name} takes one",
                instruction="Give each image one label, or name a framework that takes multi-label data, such as timm.",
            )
        environment = self.environment(framework, spec.environment, observer.building)
        if dataset.uncommon:  # not before: data that can't be trained on anyway must not cost an environment
            dataset = read(others=lambda: self.pillows_of(framework, environment))
        model = self._model(framework, environment, spec.model)
        tasks_of(framework, model, dataset.task, self._frameworks)  # the catalogue may be known only now
        return Plan(
            spec=spec,
            framework=framework,
            environment=environment,
            dataset=dataset,
            task=dataset.task,
            model=model,
            options=options,
            epochs=spec.epochs or manifest.defaults.epochs,
            batch_size=batch_size,
            image_size=spec.image_size or manifest.defaults.image_size,
        )

    def framework(self, spec: TrainSpec) -> Framework:
        """The framework that trains the spec's model."""
        if spec.framework is not None:
            return route_framework(spec.framework, self._frameworks, self._plugins)
        return route(spec.model, self._frameworks, self.catalog_of, self._plugins)

    def framework_of(self, name: str) -> Framework:
        """The framework that goes by a name.

        Raises:
            SpecError: no installed plugin adds it.
        """
        return route_framework(name, self._frameworks, self._plugins)

    def environment(
        self, framework: Framework, wanted: str | None, progress: Callable[[BuildProgress], None]
    ) -> Generation:
        """The generation that a run uses: the one that was named, else the current one, built where it is missing."""
        definition = EnvironmentDefinition.load(framework.manifest.environment)
        name, _, generation = (wanted or definition.name).partition("@")
        if name != definition.name:
            raise SpecError(
                "environment", f"the framework {framework.manifest.name} runs in the environment {definition.name}"
            )
        found = self.store.ensure(definition, generation=generation or None, progress=progress)
        self.catalog(framework, found, progress)
        return found

    def pillows(self) -> tuple[Pillow, ...]:
        """Those of all frameworks whose current environments are built."""
        found = ((framework, self._built(framework)) for framework in self._frameworks)
        return _pillows((framework, environment) for framework, environment in found if environment is not None)

    def pillows_of(self, framework: Framework, environment: Generation) -> tuple[Pillow, ...]:
        """The one of a framework's environment; none where that has none."""
        return _pillows([(framework, environment)])

    def command(self, framework: Framework, environment: Generation, fixed: dict[str, str]) -> WorkerCommand:
        """How a worker of the framework is started in that environment."""
        return worker_command(
            framework.manifest,
            environment.python,
            links=self.home.links,
            write_bytecode=environment.locked,
            passthrough=self._passthrough,
            fixed=fixed,
        )

    def catalog_of(self, framework: Framework, *, read: bool = False) -> Catalog | None:
        """The catalogue of the framework's current environment; None where that is not built, or was not asked yet.

        Args:
            framework: Whose it is.
            read: Ask it where it was not, with a worker.

        Raises:
            WorkerCrashedError, RunFailedError: it was asked, and the worker could not say.
        """
        environment = self._built(framework)
        if environment is None:
            return None
        if read:
            return self.catalog(framework, environment, lambda _: None)
        return load_catalog(environment.catalog_path, framework.edition)

    def _built(self, framework: Framework) -> Generation | None:
        try:
            return self.store.resolve(EnvironmentDefinition.load(framework.manifest.environment))
        except (PluginError, EnvironmentBuildError):  # told when it is used; until then it must harm no other framework
            return None

    def catalog(
        self, framework: Framework, environment: Generation, progress: Callable[[BuildProgress], None]
    ) -> Catalog:
        """The environment's catalogue; read with a worker the first time, and kept."""
        kept = load_catalog(environment.catalog_path, framework.edition)
        if kept is not None:
            return kept
        progress(BuildProgress(environment.name, "checking", "Reading the names of its models"))
        command = self.command(framework, environment, {})
        return read_catalog(command, environment.catalog_path, framework.edition)

    def _model(self, framework: Framework, environment: Generation, name: str) -> ModelInfo | None:
        catalog = load_catalog(environment.catalog_path, framework.edition)
        model = catalog.find(name) if catalog else None
        if model is None and ":" not in name:
            raise unknown_model(name, (framework,), lambda _: catalog)
        return model


def _pillows(environments: Iterable[tuple[Framework, Generation]]) -> tuple[Pillow, ...]:
    found = (pillow_of(framework.manifest.name, environment.python) for framework, environment in environments)
    return tuple(pillow for pillow in found if pillow is not None)


def _options(framework: Framework, spec: TrainSpec) -> dict[str, OptionValue | None]:
    declared = {option.name: option for option in framework.manifest.options}
    for name in spec.options:
        if name not in declared:
            raise unknown_option(name, list(declared), framework.manifest.name)
    values = {
        name: option.check(spec.options[name]) if name in spec.options else option.default
        for name, option in declared.items()
    }
    if framework.manifest.check_options is not None:
        framework.manifest.check_options(values)
    return values
