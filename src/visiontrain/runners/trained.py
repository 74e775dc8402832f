"""A trained model that is to be used: whose run, which checkpoint, in which environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visiontrain.environment.generation import Generation
from visiontrain.errors import InputError, SpecError
from visiontrain.plugin.manifest import OptionValue
from visiontrain.rundir.directory import RunDirectories, read_current_record
from visiontrain.runners.plan import Planner, PlanObserver
from visiontrain.runners.routing import Framework
from visiontrain.runners.starting import same_generation
from visiontrain.supervisor.record import RunRecord

__all__ = ["TrainedModel", "find_trained_model", "find_training"]


@dataclass(frozen=True)
class TrainedModel:
    """What is needed to use the model of a training.

    Args:
        record: The training's.
        checkpoint: The file.
        framework: The one that trained it.
        environment: The generation that trained it; where that was removed, the current one.
    """

    record: RunRecord
    checkpoint: Path
    framework: Framework
    environment: Generation

    @property
    def options(self) -> Mapping[str, OptionValue | None]:
        """The framework's options as the training had them."""
        defaults = {option.name: option.default for option in self.framework.manifest.options}
        return {**defaults, **self.record.spec.get("options", {})}

    @property
    def batch_size(self) -> int:
        """Images at once, as the training had them."""
        recorded = self.record.spec.get("batch_size")
        return recorded if isinstance(recorded, int) else self.framework.manifest.defaults.batch_size


def find_training(directories: RunDirectories, reference: str) -> Path:
    """The folder of the training that an id, a unique prefix, a name, or ``last`` names.

    Raises:
        UnknownRunError: none does, or more than one.
        SpecError: it is a run of another kind.
    """
    run_dir = directories.find(reference, kind="train")
    record = read_current_record(run_dir)
    if record.kind != "train":
        raise SpecError(
            "run",
            f"{record.run_id} has no model of its own: it is of kind {record.kind}",
            instruction=f"Give the training: {record.parent}",
        )
    return run_dir


def find_trained_model(
    planner: Planner, run_dir: Path, observer: PlanObserver, *, checkpoint: str | None
) -> TrainedModel:
    """Find out how the model of a training is used; its environment is built where it is missing.

    Args:
        planner: Finds framework and environment.
        run_dir: The training's folder.
        observer: Is told when an environment is built.
        checkpoint: ``best``, ``last``, or None: the best one, and the last where there is none.

    Raises:
        InputError: there is no such checkpoint.
        EnvironmentBuildError: the environment is gone and could not be built.
    """
    record = read_current_record(run_dir)
    path = _checkpoint(run_dir, record, checkpoint)
    framework = planner.framework_of(record.framework)
    kept = same_generation(planner, record.environment)
    environment = planner.environment(framework, kept, observer.building)
    return TrainedModel(record, path, framework, environment)


def _checkpoint(run_dir: Path, record: RunRecord, wanted: str | None) -> Path:
    by_kind = {"best": record.best, "last": record.last}
    found = by_kind[wanted] if wanted else record.best or record.last
    if found is None:
        kind = f"{wanted} checkpoint" if wanted else "checkpoint"
        raise InputError(
            f"the run {record.run_id} has no {kind}: it is {record.status}",
            instruction=f"Train it first: visiontrain resume {record.run_id}",
        )
    path = run_dir / found.path
    if not path.is_file():
        raise InputError(
            f"the checkpoint {path} is gone",
            instruction="Put it back, or give the other one: --checkpoint best or last.",
        )
    return path
