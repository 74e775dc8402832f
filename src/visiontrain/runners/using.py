"""Evaluations and exports: what is left open is decided, and the run is started."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from visiontrain.checkpoint_specs import EvaluateSpec, ExportSpec
from visiontrain.datasets.report import IndexedDataset
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError, SpecError
from visiontrain.protocol.inference import EvaluateParams, ExportParams
from visiontrain.protocol.tasks import Task
from visiontrain.rundir.directory import RunDirectories
from visiontrain.runners.plan import Planner, PlanObserver
from visiontrain.runners.starting import Launched, Terms, data_record, environment_record, new_run, start_attempt
from visiontrain.runners.trained import TrainedModel
from visiontrain.supervisor.record import RunRecord, now

__all__ = ["UsePlan", "launch_evaluation", "launch_export", "plan_evaluation", "plan_export"]


#: As many classes are named, the others counted.
_NAMED = 10


@dataclass(frozen=True)
class UsePlan:
    """What was decided for an evaluation or an export.

    Args:
        spec: What the person asks for.
        trained: The model.
        dataset: What it is evaluated on, or the export checked on.
        splits: Of the dataset; an export is checked on the first.
    """

    spec: EvaluateSpec | ExportSpec
    trained: TrainedModel
    dataset: IndexedDataset
    splits: tuple[str, ...]


def plan_evaluation(planner: Planner, trained: TrainedModel, spec: EvaluateSpec, observer: PlanObserver) -> UsePlan:
    """Decide what an evaluation is done on; the data is read where that was not done before.

    Raises:
        SpecError: the data has no such split.
        DatasetError: there is no data, it is not what the training saw, or it has classes that the model does not know.
        DeviceError: the framework has no use for such a device.
    """
    trained.framework.manifest.check_device(spec.device)
    dataset = _dataset(planner, trained, spec, observer)
    if spec.data is None:
        _check_unchanged(dataset, trained.record)
    _check_classes(dataset, trained.record)
    return UsePlan(spec, trained, dataset, _splits(spec.split, dataset, trained.record))


def plan_export(planner: Planner, trained: TrainedModel, spec: ExportSpec, observer: PlanObserver) -> UsePlan:
    """See that the format is offered, and find the images that the export is checked on.

    Raises:
        SpecError: the framework does not offer the format, or files are in the way.
        DatasetError: there is no data.
    """
    manifest = trained.framework.manifest
    if spec.format not in manifest.export_formats:
        offered = ", ".join(manifest.export_formats) or "none"
        raise SpecError("format", f"the framework {manifest.name} can't export {spec.format}; it offers: {offered}")
    _check_free(spec.output)
    # Any images will do to compare two models on: neither their labels matter, nor whether they have changed.
    dataset = _dataset(planner, trained, spec, observer)
    return UsePlan(spec, trained, dataset, _splits(None, dataset, trained.record)[:1])


def launch_evaluation(planner: Planner, plan: UsePlan, directories: RunDirectories, terms: Terms) -> Launched:
    """Start an evaluation.

    Raises:
        WorkerCrashedError: its supervisor could not start.
    """
    trained, spec = plan.trained, plan.spec
    assert isinstance(spec, EvaluateSpec)  # noqa: S101 - as `plan_evaluation` makes it
    batch_size = spec.batch_size or trained.batch_size
    resolved = spec.model_copy(update={"batch_size": batch_size})
    with new_run(directories) as (run_id, run_dir):
        params = EvaluateParams(
            run_id=run_id,
            run_dir=str(run_dir),
            task=trained.record.task,
            model=trained.record.model,
            checkpoint=str(trained.checkpoint),
            dataset=str(plan.dataset.path),
            splits=plan.splits,
            batch_size=batch_size,
            device=spec.device,
            options=trained.options,
        )
        record = _record(run_id, "evaluate", plan, {**resolved.model_dump(mode="json"), "splits": list(plan.splits)})
        return start_attempt(planner, trained.framework, trained.environment, record, params, terms=terms)


def launch_export(planner: Planner, plan: UsePlan, directories: RunDirectories, terms: Terms) -> Launched:
    """Start an export.

    Raises:
        WorkerCrashedError: its supervisor could not start.
    """
    trained, spec = plan.trained, plan.spec
    assert isinstance(spec, ExportSpec)  # noqa: S101 - as `plan_export` makes it
    with new_run(directories) as (run_id, run_dir):
        params = ExportParams(
            run_id=run_id,
            run_dir=str(run_dir),
            task=trained.record.task,
            model=trained.record.model,
            checkpoint=str(trained.checkpoint),
            format=spec.format,
            dataset=str(plan.dataset.path),
            split=plan.splits[0],
            images=spec.images,
            tolerance=spec.tolerance,
            options=trained.options,
        )
        record = _record(run_id, "export", plan, spec.model_dump(mode="json"))
        return start_attempt(planner, trained.framework, trained.environment, record, params, terms=terms)


def _record(run_id: str, kind: str, plan: UsePlan, spec: dict[str, object]) -> RunRecord:
    trained = plan.trained
    return RunRecord(
        run_id=run_id,
        kind=kind,
        status="pending",
        created_at=now(),
        framework=trained.record.framework,
        task=trained.record.task,
        model=trained.record.model,
        plugin_version=trained.framework.plugin.version,
        licence=trained.framework.manifest.licence,
        spec={**spec, "checkpoint": str(trained.checkpoint)},
        data=data_record(plan.dataset),
        environment=environment_record(trained.environment),
        parent=trained.record.run_id,
    )


def _check_free(output: Path | None) -> None:
    if output is None:
        return
    try:
        free = not any(output.iterdir())
    except FileNotFoundError:
        free = True
    except OSError:  # a file, or a folder that can't be looked into
        free = False
    if not free:
        raise SpecError(
            "output", f"{output} is there already, and is no empty folder", instruction="Give another folder."
        )


def _dataset(
    planner: Planner, trained: TrainedModel, spec: EvaluateSpec | ExportSpec, observer: PlanObserver
) -> IndexedDataset:
    record = trained.record
    planner.home.prepare()
    skipping = spec.skip_unreadable if isinstance(spec, EvaluateSpec) else True
    # Of the training's own data: a split that is all there is was trained on, whatever its name says.
    evaluates_own = isinstance(spec, EvaluateSpec) and spec.data is None
    read = partial(
        index_dataset,
        spec.data or record.data.path,
        folder=planner.home.datasets,
        task=Task(record.task),
        seed=record.spec.get("seed", 0),
        skip_unreadable=skipping or record.spec.get("skip_unreadable", False),
        for_training=evaluates_own,
        progress=observer.indexing,
    )
    if spec.data is None and not Path(record.data.path).exists():
        evaluating = isinstance(spec, EvaluateSpec)
        again = f"evaluate {record.run_id} DATA" if evaluating else f"export {record.run_id} --data DATA"
        raise DatasetError(
            f"the data of the run {record.run_id}, {record.data.path}, is gone",
            instruction=f"If it was moved, or for other data: visiontrain {again}",
        )
    dataset = read()
    if dataset.uncommon:
        dataset = read(others=lambda: planner.pillows_of(trained.framework, trained.environment))
    return dataset


def _check_unchanged(dataset: IndexedDataset, record: RunRecord) -> None:
    if dataset.fingerprint != record.data.fingerprint:
        raise DatasetError(
            f"the data in {record.data.path} is not what it was when the run began: files were added, removed or "
            "changed, so that images that it was trained on may be among those to be evaluated on",
            instruction="Put it back as it was, or name it, to say that this is known: "
            f"visiontrain evaluate {record.run_id} {shlex.quote(record.data.path)}",
        )


def _check_classes(dataset: IndexedDataset, record: RunRecord) -> None:
    if dataset.multi_label != record.data.multi_label:
        each = {True: "any number of labels", False: "one label"}
        raise DatasetError(
            f"{dataset.source} gives images {each[dataset.multi_label]} each, and the run {record.run_id} was trained "
            f"on images of {each[record.data.multi_label]}",
            instruction="Give data of the same kind.",
        )
    unknown = [name for name in dataset.classes if name not in record.data.classes]
    if unknown:
        raise DatasetError(
            f"{dataset.source} has {_named(unknown)}, which the run {record.run_id} was not trained on",
            instruction=f"It knows {_named(record.data.classes)}. Name those of the data likewise, or leave them out.",
        )


def _named(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - _NAMED:,} more" if len(classes) > _NAMED else ""
    head = "the class" if len(classes) == 1 else "the classes"
    return f"{head} " + ", ".join(classes[:_NAMED]) + more


def _splits(wanted: str | None, dataset: IndexedDataset, record: RunRecord) -> tuple[str, ...]:
    """Which splits are used: those that were not trained on."""
    present = tuple(split for split in ("train", "val", "test") if dataset.splits.get(split))
    if wanted == "all":
        return present
    # What was carved by us is no split of other data's own: nothing of it was trained on.
    is_own = dataset.fingerprint == record.data.fingerprint
    named = present if is_own or not dataset.carved else tuple(split for split in present if split == "test")
    if wanted is not None:
        if wanted not in named:
            there = f"it has: {', '.join(named)}" if named else "it has none"
            raise SpecError(
                "split", f"{dataset.source} has no split {wanted}; {there}", instruction="For all images, say all."
            )
        return (wanted,)
    return next(((split,) for split in ("test", "val") if split in named), present)
