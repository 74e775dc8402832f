"""Evaluations and exports: what is left open is decided, and the run is started."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

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

    @property
    def images(self) -> int:
        """Images in the splits."""
        return sum(self.dataset.splits[split] for split in self.splits)


def plan_evaluation(planner: Planner, trained: TrainedModel, spec: EvaluateSpec, observer: PlanObserver) -> UsePlan:
    """Decide what an evaluation is done on; the data is read where that was not done before.

    Raises:
        SpecError: the data has no such split.
        DatasetError: there is no data, or it is not what the training saw.
    """
    dataset = _dataset(planner, trained, spec, observer)
    return UsePlan(spec, trained, dataset, _splits(spec, dataset, trained.record))


def plan_export(planner: Planner, trained: TrainedModel, spec: ExportSpec, observer: PlanObserver) -> UsePlan:
    """See that the format is offered, and find the images that the export is checked on.

    Raises:
        SpecError: the framework does not offer the format, or files are in the way.
        DatasetError: the data of the training is gone or changed.
    """
    manifest = trained.framework.manifest
    if spec.format not in manifest.export_formats:
        offered = ", ".join(manifest.export_formats) or "none"
        raise SpecError("format", f"the framework {manifest.name} can't export {spec.format}; it offers: {offered}")
    if (
        spec.output is not None
        and spec.output.exists()
        and not (spec.output.is_dir() and not any(spec.output.iterdir()))
    ):
        raise SpecError(
            "output", f"{spec.output} is there already, and is no empty folder", instruction="Give another one."
        )
    dataset = _dataset(planner, trained, EvaluateSpec(run=spec.run), observer)
    return UsePlan(spec, trained, dataset, _splits(EvaluateSpec(run=spec.run), dataset, trained.record)[:1])


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


def _dataset(planner: Planner, trained: TrainedModel, spec: EvaluateSpec, observer: PlanObserver) -> IndexedDataset:
    record = trained.record
    read = partial(
        index_dataset,
        spec.data or record.data.path,
        folder=planner.home.datasets,
        task=Task(record.task),
        seed=record.spec.get("seed", 0),
        skip_unreadable=spec.skip_unreadable or record.spec.get("skip_unreadable", False),
        for_training=spec.data is None,
        progress=observer.indexing,
    )
    dataset = read()
    if dataset.uncommon:
        dataset = read(others=lambda: planner.pillows_of(trained.framework, trained.environment))
    if spec.data is None and dataset.fingerprint != record.data.fingerprint:
        raise DatasetError(
            f"the data in {record.data.path} is not what it was when the run began: files were added, removed or "
            "changed, so that images that it was trained on may be among those to be evaluated on",
            instruction=f"Put it back as it was, or say that it is other data: visiontrain evaluate {record.run_id} "
            f"{record.data.path} --split test",
        )
    if dataset.multi_label != record.data.multi_label:
        each = {True: "any number of labels", False: "one label"}
        raise DatasetError(
            f"{dataset.source} gives images {each[dataset.multi_label]} each, and the run {record.run_id} was trained "
            f"on images of {each[record.data.multi_label]}",
            instruction="Give data of the same kind.",
        )
    return dataset


def _splits(spec: EvaluateSpec, dataset: IndexedDataset, record: RunRecord) -> tuple[str, ...]:
    """Which splits are evaluated: those that were not trained on."""
    present = tuple(split for split in ("train", "val", "test") if dataset.splits.get(split))
    if spec.split == "all":
        return present
    if spec.split is not None:
        if spec.split not in present:
            raise SpecError(
                "split", f"{dataset.source} has no split {spec.split}; it has: {', '.join(present)}, and all of them"
            )
        return (spec.split,)
    if "test" in present:
        return ("test",)
    is_own = dataset.fingerprint == record.data.fingerprint
    # What was carved by us is no split of other data's own: nothing of it was trained on.
    return ("val",) if "val" in present and (is_own or not dataset.carved) else present
