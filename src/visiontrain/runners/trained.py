"""A trained model that is to be used: whose run, which checkpoint, in which environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visiontrain.environment.generation import Generation
from visiontrain.errors import InputError, SpecError
from visiontrain.plugin.manifest import OptionValue
from visiontrain.protocol.events import UNFINISHED
from visiontrain.rundir.directory import RunDirectories, read_current_record
from visiontrain.runners.plan import Planner, PlanObserver
from visiontrain.runners.routing import Framework
from visiontrain.runners.starting import same_generation
from visiontrain.supervisor.record import CheckpointRecord, RunRecord

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
        """The framework's options as the training had them; without those that the installed plugin has no more."""
        recorded = self.record.spec.get("options", {})
        return {option.name: recorded.get(option.name, option.default) for option in self.framework.manifest.options}

    @property
    def is_as_trained(self) -> bool:
        """Whether the environment is the one that trained it."""
        return self.environment.digest == self.record.environment.digest

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
            f"{record.run_id} is no training: it is of kind {record.kind}",
            instruction=f"Give the training that it is of: {record.parent}",
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
        InputError: there is no such checkpoint, or its file is gone.
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
        raise InputError(
            f"the run {record.run_id} has no {f'{wanted} checkpoint' if wanted else 'checkpoint'}: it is "
            f"{record.status}",
            instruction=_other(wanted, by_kind) or _further(record),
        )
    path = run_dir / found.path
    if not path.is_file():
        kind = "best" if found is record.best else "last"
        others = {name: kept for name, kept in by_kind.items() if kept and (run_dir / kept.path).is_file()}
        instruction = f"Put it back{f', or use the other one: {other}' if (other := _other(kind, others)) else '.'}"
        raise InputError(f"the checkpoint {path} is gone", instruction=instruction)
    return path


def _other(kind: str | None, there: Mapping[str, CheckpointRecord | None]) -> str | None:
    """How to ask for the checkpoint that is there in place of one that is not."""
    return next((f"--checkpoint {name}" for name, found in there.items() if found and kind and name != kind), None)


def _further(record: RunRecord) -> str:
    if record.status in UNFINISHED:
        return f"Wait for its first epoch's end: visiontrain runs follow {record.run_id}"
    return f"Train it further: visiontrain resume {record.run_id}"
