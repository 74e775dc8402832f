"""MLflow's tracker: takes pieces of runs' records, each of which may come again and then changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TypeVar

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH

from visiontrain.protocol.tracking import (
    LogModelParams,
    LogModelResult,
    Point,
    SystemMetricsResult,
    TrackedRun,
    TrackingTarget,
    TrackParams,
    TrackResult,
)
from visiontrain.worker.trainer import Description
from visiontrain_mlflow.machine import measure
from visiontrain_mlflow.names import metric_key
from visiontrain_mlflow.stores import Store, explained, open_store

__all__ = ["RUN_ID", "MlflowTracker"]

_T = TypeVar("_T")

#: The tag that says which of visiontrain's runs an MLflow run is.
RUN_ID = "visiontrain.run_id"

#: Tags that MLflow's pages have a place of their own for, beside those that keep their names below ``visiontrain.``.
_OWN_TAGS = MappingProxyType(
    {"user": "mlflow.user", "git.commit": "mlflow.source.git.commit", "git.branch": "mlflow.source.git.branch"}
)

#: MLflow takes 100 parameters and 100 tags a call.
_PARAMS, _TAGS = 100, 100

#: MLflow's word for each status. What was stopped can be gone on with, and MLflow has no word for that.
_STATUSES = MappingProxyType(
    {
        "pending": "SCHEDULED",
        "running": "RUNNING",
        "completed": "FINISHED",
        "failed": "FAILED",
        "stopped": "KILLED",
        "interrupted": "KILLED",
    }
)
_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})

#: What a SQL store keeps in place of infinity: the largest number that a double holds.
_LARGEST = sys.float_info.max


class MlflowTracker:
    """A `visiontrain.worker.tracker.Tracker`."""

    def __init__(self) -> None:
        self._stores: dict[TrackingTarget, Store] = {}

    def describe(self) -> Description:
        """Versions of MLflow and of what models are served with."""
        return Description({name: version(name) for name in ("mlflow", "onnxruntime", "numpy", "pillow")})

    def track(self, params: TrackParams) -> TrackResult:
        """Take a piece of a run's record.

        Raises:
            TrackingError: MLflow does not answer, or refuses.
        """
        with explained(params.target):
            store = self._store(params.target)
            run = self._run(store, params.run)
            if run is None or run.info.lifecycle_stage != "active":
                return TrackResult(params.run.tracked or "", gone=True)
            run_id = str(run.info.run_id)
            _describe(store, run, params.run)
            points = _missing(store, run_id, params.points) if params.uncertain else params.points
            for some in _chunks([_metric(point) for point in points], MAX_METRICS_PER_BATCH):
                store.client.log_batch(run_id, metrics=some)
            for file in params.files:
                if Path(file.path).is_file():  # the person may have removed it meanwhile
                    folder = str(PurePosixPath(file.name).parent)
                    store.client.log_artifact(run_id, file.path, None if folder == "." else folder)
            for name, text in params.texts.items():
                store.client.log_text(run_id, text, name)
            _set_status(store, run, params.run)
            return TrackResult(run_id, store.page(run_id))

    def log_model(self, params: LogModelParams) -> LogModelResult:
        """Log an exported model as one that `mlflow models serve` serves.

        Raises:
            TrackingError: MLflow does not answer, or refuses, or the model is of a kind that can't be served.
        """
        from visiontrain_mlflow.models import log_model

        with explained(params.target):
            return log_model(self._store(params.target), params)

    def system_metrics(self) -> SystemMetricsResult:
        """Load of processors, memory, disk, network and NVIDIA's GPUs, under MLflow's own names."""
        return SystemMetricsResult(measure())

    def _store(self, target: TrackingTarget) -> Store:
        found = self._stores.get(target)
        if found is None:
            found = self._stores[target] = open_store(target)
        return found

    def _run(self, store: Store, run: TrackedRun) -> Run | None:
        """The MLflow run: by its id, else by the tag that was set when it was made, else a new one.

        None where it was there and is not any more.
        """
        if run.tracked is not None:
            try:
                return store.client.get_run(run.tracked)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise
        found = store.client.search_runs([store.experiment_id], f"tags.`{RUN_ID}` = '{run.run_id}'", max_results=1)
        if found:
            return found[0]
        tags = {**_tags(run), RUN_ID: run.run_id, "mlflow.source.type": "LOCAL", "mlflow.source.name": "visiontrain"}
        if run.parent is not None:
            tags["mlflow.parentRunId"] = run.parent
        return store.client.create_run(store.experiment_id, start_time=run.started, tags=tags, run_name=run.name)


def _describe(store: Store, run: Run, told: TrackedRun) -> None:
    """Set parameters and tags that are not there yet. MLflow never changes a parameter: a new value becomes a tag."""
    params = _clipped(told.params, MAX_PARAM_VAL_LENGTH)
    changed = {name: value for name, value in params.items() if run.data.params.get(name, value) != value}
    tags = {**_tags(told), **{f"visiontrain.now.{name}": value for name, value in changed.items()}}
    new_params = [Param(name, value) for name, value in params.items() if name not in run.data.params]
    new_tags = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
    for some in _chunks(new_params, _PARAMS):
        store.client.log_batch(run.info.run_id, params=some)
    for some_tags in _chunks(new_tags, _TAGS):
        store.client.log_batch(run.info.run_id, tags=some_tags)


def _tags(told: TrackedRun) -> dict[str, str]:
    own = {_OWN_TAGS[name]: value for name, value in told.tags.items() if name in _OWN_TAGS}
    tags = {f"visiontrain.{name}": value for name, value in told.tags.items() if name not in _OWN_TAGS}
    return _clipped({**tags, **own}, MAX_TAG_VAL_LENGTH)


def _set_status(store: Store, run: Run, told: TrackedRun) -> None:
    status = _STATUSES[told.status]
    if status in _ENDED:
        store.client.set_terminated(run.info.run_id, status, told.ended)
    elif run.info.status != status:
        store.client.update_run(run.info.run_id, status=status)


def _missing(store: Store, run_id: str, points: Sequence[Point]) -> list[Point]:
    """Those points that MLflow does not have."""
    there = {
        (metric.key, metric.step, metric.timestamp, _kept(metric.value))
        for key in {metric_key(point.name) for point in points}
        for metric in _history(store, run_id, key)
    }
    metrics = ((point, _metric(point)) for point in points)
    return [
        point
        for point, metric in metrics
        if (metric.key, metric.step, metric.timestamp, _kept(metric.value)) not in there
    ]


def _history(store: Store, run_id: str, key: str) -> list[Metric]:
    try:
        return list(store.client.get_metric_history(run_id, key))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # what some stores say of a metric without points
            return []
        raise


def _metric(point: Point) -> Metric:
    value = float(point.non_finite or "NaN") if point.value is None else point.value
    return Metric(metric_key(point.name), value, point.time, point.step)


def _kept(value: float) -> float | str:
    """A value as it can be compared after a store has kept it: NaN equals itself, infinity is the largest number."""
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    return max(-_LARGEST, min(_LARGEST, value))


def _clipped(values: dict[str, str], longest: int) -> dict[str, str]:
    return {metric_key(name): value[:longest] for name, value in values.items()}


def _chunks(values: Sequence[_T], size: int) -> Iterable[list[_T]]:
    return (list(values[start : start + size]) for start in range(0, len(values), size))
