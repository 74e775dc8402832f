"""From a plan to a run under way: its folder, its record, its supervisor."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from visiontrain.errors import DatasetError, EnvironmentBuildError, InputError, RunBusyError, SpecError, StorageError
from visiontrain.protocol.events import in_epochs
from visiontrain.protocol.messages import Cpu, ResumeFrom, TrainParams
from visiontrain.protocol.structure import unstructure
from visiontrain.rundir.directory import RECORD, RunDirectories, is_being_worked_on, read_current_record
from visiontrain.rundir.events import EVENTS
from visiontrain.runners.plan import Plan, Planner, PlanObserver
from visiontrain.runners.supervised import SupervisorLink, start_supervisor
from visiontrain.specs import TrainSpec, make_train_spec
from visiontrain.supervisor.launch import Deadlines, DeviceLimit, Launch
from visiontrain.supervisor.record import DataRecord, EnvironmentRecord, RunRecord, now

__all__ = ["Launched", "launch", "relaunch"]


@dataclass(frozen=True)
class Launched:
    """An attempt that has started. `offset` is where its events begin in the record, in bytes."""

    run_dir: Path
    link: SupervisorLink
    offset: int


def launch(
    planner: Planner,
    plan: Plan,
    directories: RunDirectories,
    *,
    detached: bool,
    deadlines: Deadlines,
    limit: DeviceLimit,
) -> Launched:
    """Start a new run.

    Raises:
        WorkerCrashedError: its supervisor could not start.
    """
    run_id, run_dir = directories.create()
    record = RunRecord(
        run_id=run_id,
        kind="train",
        status="pending",
        created_at=now(),
        framework=plan.framework.manifest.name,
        task=str(plan.task),
        model=plan.spec.model,
        plugin_version=plan.framework.plugin.version,
        licence=plan.framework.manifest.licence,
        spec=_resolved_spec(plan).model_dump(mode="json"),
        data=_data_record(plan),
        environment=_environment_record(plan),
        name=plan.spec.name,
    )
    try:
        return _start(planner, plan, record, run_dir, detached=detached, deadlines=deadlines, limit=limit)
    except BaseException:
        _discard(run_dir)
        raise


def relaunch(
    planner: Planner,
    run_dir: Path,
    observer: PlanObserver,
    *,
    epochs: int | None,
    detached: bool,
    deadlines: Deadlines,
    limit: DeviceLimit,
) -> Launched:
    """Go on with a run in the environment and on the data that it had.

    Args:
        planner: Decides what is left open, the same way as the first time.
        run_dir: The run's folder.
        observer: Is told what goes on before the start.
        epochs: A new total of epochs; None keeps the old one.
        detached: Whether it goes on when this process ends.
        deadlines: Seconds for each step of stopping.
        limit: How many runs may use a device at once.

    Raises:
        RunBusyError: somebody works on the run.
        SpecError: it is completed and no more epochs are asked for.
        DatasetError: the data is not what it was.
        EnvironmentBuildError: the environment is not to be had any more.
    """
    if is_being_worked_on(run_dir):
        raise RunBusyError(
            f"the run {run_dir.name} is going on",
            run_id=run_dir.name,
            instruction=f"Follow it: visiontrain runs follow {run_dir.name}",
        )
    record = read_current_record(run_dir)
    spec = make_train_spec(**(record.spec if epochs is None else {**record.spec, "epochs": epochs}))
    _check_total(record, spec, is_new=epochs is not None)
    checkpoints = _checkpoints(run_dir, record)
    plan = planner.plan(
        spec.model_copy(update={"environment": _same_generation(planner, record.environment)}),
        observer,
        needs_weights=not checkpoints,
    )
    if plan.environment.digest != record.environment.digest:
        raise EnvironmentBuildError(
            f"the run used the generation {record.environment.generation} of the environment "
            f"{record.environment.name}, which was removed, and the installed plugin builds another one",
            instruction="Install the plugin's earlier version to have it built again, or start a new run from the best "
            "weights: --weights PATH.",
        )
    if plan.dataset.fingerprint != record.data.fingerprint:
        raise DatasetError(
            f"the data in {record.data.path} is not what it was when the run began: "
            "files were added, removed or changed",
            instruction="Put it back as it was, or start a new run on the present data.",
        )
    observer.planned(plan)
    record = replace(record, spec=spec.model_dump(mode="json"), attempt=record.attempt + 1)
    fixed = _same_arithmetic(record.worker.cpu) if record.worker and record.worker.cpu else {}
    return _start(
        planner,
        plan,
        record,
        run_dir,
        resume=ResumeFrom(checkpoints),
        fixed=fixed,
        detached=detached,
        deadlines=deadlines,
        limit=limit,
    )


def _start(
    planner: Planner,
    plan: Plan,
    record: RunRecord,
    run_dir: Path,
    *,
    resume: ResumeFrom | None = None,
    fixed: dict[str, str] | None = None,
    detached: bool,
    deadlines: Deadlines,
    limit: DeviceLimit,
) -> Launched:
    events = run_dir / EVENTS
    offset = events.stat().st_size if events.exists() else 0
    params = TrainParams(
        run_id=record.run_id,
        run_dir=str(run_dir),
        task=str(plan.task),
        model=plan.spec.model,
        dataset=str(plan.dataset.path),
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        learning_rate=plan.spec.learning_rate,
        image_size=plan.image_size,
        weights=plan.spec.first_weights(),
        device=plan.spec.device,
        seed=plan.spec.seed,
        options=unstructure(plan.options),
        resume=resume,
    )
    # Until the supervisor holds the environment itself, nobody may remove it.
    with planner.store.hold(plan.environment):
        link = start_supervisor(
            Launch(
                run_dir=str(run_dir),
                record=record,
                command=planner.command(plan.framework, plan.environment, fixed or {}),
                params=params,
                detached=detached,
                deadlines=deadlines,
                limit=limit,
                locks=(str(plan.environment.in_use_path),),
            )
        )
    return Launched(run_dir, link, offset)


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


def _resolved_spec(plan: Plan) -> TrainSpec:
    """The spec with what was decided filled in: a resume after an upgrade must not meet other defaults."""
    return plan.spec.model_copy(
        update={
            "framework": plan.framework.manifest.name,
            "task": plan.task,
            "epochs": plan.epochs,
            "batch_size": plan.batch_size,
            "image_size": plan.image_size,
            "options": {name: value for name, value in plan.options.items() if value is not None},
        }
    )


def _data_record(plan: Plan) -> DataRecord:
    dataset = plan.dataset
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


def _environment_record(plan: Plan) -> EnvironmentRecord:
    environment = plan.environment
    return EnvironmentRecord(
        name=environment.name,
        generation=environment.id,
        python=str(environment.python),
        digest=environment.digest,
        locked=environment.locked,
    )


def _same_generation(planner: Planner, used: EnvironmentRecord) -> str | None:
    """The generation that a run used, as a spec names it; None where it is gone and may be built again."""
    kept = {generation.id for generation in planner.store.generations(used.name)}
    return f"{used.name}@{used.generation}" if used.generation in kept else None


def _check_total(record: RunRecord, spec: TrainSpec, *, is_new: bool) -> None:
    if not is_new:
        if record.status == "completed":
            raise SpecError(
                "epochs",
                f"the run {record.run_id} is completed: all its {spec.epochs} epochs are done",
                instruction=f"To go on, give a new total: visiontrain resume {record.run_id} "
                f"--epochs {(spec.epochs or 0) + 5}",
            )
        return
    done = record.last.epoch if record.last else 0.0
    if (spec.epochs or 0) <= done:
        raise SpecError(
            "epochs", f"{in_epochs(done)} epochs are done already; the new total must be more, not {spec.epochs}"
        )


def _checkpoints(run_dir: Path, record: RunRecord) -> tuple[str, ...]:
    """Checkpoints to go on from, newest first: the last one, and the one before that lies beside it.

    Raises:
        InputError: there was one, and it is gone.
    """
    if record.last is None:
        return ()
    last = run_dir / record.last.path
    before = last.with_name("previous" + last.suffix)
    found = tuple(str(path) for path in (last, before) if path.is_file())
    if not found:
        raise InputError(
            f"the run {record.run_id} had reached {in_epochs(record.last.epoch)} epochs, "
            f"but its checkpoint {last} is gone",
            instruction="Put it back, or start a new run.",
        )
    return found


def _same_arithmetic(cpu: Cpu) -> dict[str, str]:
    """Variables that give a worker the threads and the instruction set of an earlier one, where the processor has it.

    CPU results differ between thread counts and between instruction sets, and are equal bit by bit when both are equal.
    """
    fixed = {"OMP_NUM_THREADS": str(cpu.threads)}
    if cpu.onednn_isa:
        fixed["ONEDNN_MAX_CPU_ISA"] = cpu.onednn_isa
    if cpu.capability == "AVX2":
        fixed["ATEN_CPU_CAPABILITY"] = "avx2"
    return fixed
