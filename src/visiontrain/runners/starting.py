"""A run's first step, whatever its kind: its folder, its record, its supervisor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from visiontrain.datasets.report import IndexedDataset
from visiontrain.environment.generation import Generation
from visiontrain.errors import StorageError
from visiontrain.protocol.inference import EvaluateParams, ExportParams
from visiontrain.protocol.messages import TrainParams
from visiontrain.protocol.structure import unstructure
from visiontrain.rundir.directory import RECORD, RunDirectories, is_being_worked_on
from visiontrain.rundir.events import EVENTS
from visiontrain.runners.plan import Planner
from visiontrain.runners.routing import Framework
from visiontrain.runners.supervised import SupervisorLink, start_supervisor
from visiontrain.supervisor.launch import Deadlines, DeviceLimit, Launch
from visiontrain.supervisor.record import DataRecord, EnvironmentRecord, RunRecord

__all__ = ["Launched", "Terms", "data_record", "environment_record", "new_run", "same_generation", "start_attempt"]


@dataclass(frozen=True)
class Terms:
    """On what terms a run goes on.

    Args:
        detached: Whether it goes on when this process ends.
        deadlines: Seconds for each step of stopping.
        limit: How many runs may use a device at once; None: it waits for none.
    """

    detached: bool
    deadlines: Deadlines
    limit: DeviceLimit | None


@dataclass(frozen=True)
class Launched:
    """An attempt that has started. `offset` is where its events begin in the record, in bytes."""

    run_dir: Path
    link: SupervisorLink
    offset: int


@contextlib.contextmanager
def new_run(directories: RunDirectories) -> Iterator[tuple[str, Path]]:
    """Id and folder of a new run; the folder is removed again where the run does not begin."""
    run_id, run_dir = directories.create()
    try:
        yield run_id, run_dir
    except BaseException:
        _discard(run_dir)
        raise


def start_attempt(
    planner: Planner,
    framework: Framework,
    environment: Generation,
    record: RunRecord,
    params: TrainParams | EvaluateParams | ExportParams,
    *,
    terms: Terms,
    fixed: dict[str, str] | None = None,
) -> Launched:
    """Start the supervisor of a run.

    Args:
        planner: Says how a worker is started, and holds environments.
        framework: The run's.
        environment: The run's.
        record: As the attempt finds it.
        params: Of the request that the record's kind names.
        terms: On what terms it goes on.
        fixed: Variables of the worker that are set whatever the host's are.

    Raises:
        WorkerCrashedError: the supervisor could not start.
    """
    run_dir = Path(params.run_dir)
    events = run_dir / EVENTS
    offset = events.stat().st_size if events.exists() else 0
    # Until the supervisor holds the environment itself, nobody may remove it.
    with planner.store.hold(environment):
        link = start_supervisor(
            Launch(
                run_dir=str(run_dir),
                record=record,
                command=planner.command(framework, environment, fixed or {}),
                params=unstructure(params),
                device=params.device,
                detached=terms.detached,
                deadlines=terms.deadlines,
                limit=terms.limit,
                locks=(str(environment.in_use_path),),
            )
        )
    return Launched(run_dir, link, offset)


def data_record(dataset: IndexedDataset) -> DataRecord:
    """What a record says of the data."""
    return DataRecord(
        path=str(dataset.source),
        index=str(dataset.path),
        format=dataset.format,
        fingerprint=dataset.fingerprint,
        splits=dict(dataset.splits),
        classes=tuple(dataset.classes),
        multi_label=dataset.multi_label,
        warnings=tuple(str(problem) for problem in dataset.report.of("warning")),
    )


def environment_record(environment: Generation) -> EnvironmentRecord:
    """What a record says of the environment."""
    return EnvironmentRecord(
        name=environment.name,
        generation=environment.id,
        python=str(environment.python),
        digest=environment.digest,
        locked=environment.locked,
    )


def same_generation(planner: Planner, used: EnvironmentRecord) -> str | None:
    """The generation that a run used, as a spec names it; None where it is gone and may be built again."""
    kept = {generation.id for generation in planner.store.generations(used.name)}
    return f"{used.name}@{used.generation}" if used.generation in kept else None


def _discard(run_dir: Path) -> None:
    """Remove the folder of a run that never began; one that a supervisor has taken up is its, and stays."""
    with contextlib.suppress(StorageError):  # without locks nobody can have taken it up
        if is_being_worked_on(run_dir):
            return
    if (run_dir / RECORD).exists():
        return
    with contextlib.suppress(OSError):
        for leftover in run_dir.iterdir():
            leftover.unlink()
        run_dir.rmdir()
