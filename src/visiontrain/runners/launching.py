"""From a plan to a training under way; and how one that has ended goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from visiontrain.errors import DatasetError, EnvironmentBuildError, InputError, RunBusyError, SpecError
from visiontrain.protocol.events import in_epochs
from visiontrain.protocol.messages import Cpu, ResumeFrom, TrainParams
from visiontrain.rundir.directory import RunDirectories, is_being_worked_on, read_current_record
from visiontrain.runners.plan import Plan, Planner, PlanObserver
from visiontrain.runners.starting import (
    Launched,
    Terms,
    data_record,
    environment_record,
    new_run,
    same_generation,
    start_attempt,
)
from visiontrain.specs import TrainSpec, make_train_spec
from visiontrain.supervisor.record import RunRecord, now

__all__ = ["launch", "relaunch"]


def launch(planner: Planner, plan: Plan, directories: RunDirectories, terms: Terms) -> Launched:
    """Start a new training.

    Raises:
        WorkerCrashedError: its supervisor could not start.
    """
    with new_run(directories) as (run_id, run_dir):
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
            data=data_record(plan.dataset),
            environment=environment_record(plan.environment),
            name=plan.spec.name,
        )
        return start_attempt(planner, plan.framework, plan.environment, record, _params(plan, run_dir), terms=terms)


def relaunch(
    planner: Planner,
    run_dir: Path,
    observer: PlanObserver,
    terms: Terms,
    *,
    epochs: int | None,
) -> Launched:
    """Go on with a training in the environment and on the data that it had.

    Args:
        planner: Decides what is left open, the same way as the first time.
        run_dir: The run's folder.
        observer: Is told what goes on before the start.
        terms: On what terms it goes on.
        epochs: A new total of epochs; None keeps the old one.

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
        spec.model_copy(update={"environment": same_generation(planner, record.environment)}),
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
    params = _params(plan, run_dir, ResumeFrom(checkpoints))
    return start_attempt(planner, plan.framework, plan.environment, record, params, terms=terms, fixed=fixed)


def _params(plan: Plan, run_dir: Path, resume: ResumeFrom | None = None) -> TrainParams:
    return TrainParams(
        run_id=run_dir.name,
        run_dir=str(run_dir),
        task=str(plan.task),
        model=plan.spec.model,
        dataset=str(plan.dataset.path),
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        auto_batch_size=plan.auto_batch_size,
        learning_rate=plan.spec.learning_rate,
        image_size=plan.image_size,
        weights=plan.spec.first_weights(),
        device=plan.spec.device,
        seed=plan.spec.seed,
        options=plan.options,
        resume=resume,
    )


def _resolved_spec(plan: Plan) -> TrainSpec:
    """The spec with what was decided filled in: a resume after an upgrade must not meet other defaults."""
    return plan.spec.model_copy(
        update={
            "framework": plan.framework.manifest.name,
            "task": plan.task,
            "epochs": plan.epochs,
            "batch_size": "auto" if plan.auto_batch_size else plan.batch_size,
            "image_size": plan.image_size,
            "options": {name: value for name, value in plan.options.items() if value is not None},
        }
    )


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
