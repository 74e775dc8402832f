"""The module's functions: `Session`'s methods on a default session, so that one line trains a model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from visiontrain.session import default_session

if TYPE_CHECKING:
    from visiontrain.datasets.report import DatasetReport
    from visiontrain.environment.generation import Generation
    from visiontrain.exports import Export
    from visiontrain.following import RunHandle
    from visiontrain.handles import Run
    from visiontrain.installation import Model
    from visiontrain.plugin.discovery import Plugin
    from visiontrain.predictions import Prediction
    from visiontrain.protocol.tasks import Task

__all__ = [
    "check_dataset",
    "environments",
    "evaluate",
    "export",
    "models",
    "plugins",
    "predict",
    "resume",
    "run",
    "runs",
    "start",
    "train",
]


def train(data: str | os.PathLike[str], *, model: str, progress: bool = True, **options: Any) -> Run:
    """Train a model, showing a progress bar, and give the run at its end. See `Session.train`."""
    return default_session().train(data, model=model, progress=progress, **options)


def start(data: str | os.PathLike[str], *, model: str, detach: bool = False, **options: Any) -> RunHandle:
    """Start a training and give a handle on it. See `Session.start`."""
    return default_session().start(data, model=model, detach=detach, **options)


def resume(run: str = "last", *, epochs: int | None = None, progress: bool = True) -> Run:
    """Go on with a run from its last checkpoint, wait, showing a progress bar, and give the run at its end.

    `Session.resume` returns at once instead, with a `RunHandle`, as `start` does.
    """
    return default_session().run(run).resume(epochs=epochs, progress=progress)


def evaluate(
    run: str = "last", data: str | os.PathLike[str] | None = None, *, progress: bool = True, **options: Any
) -> Run:
    """Measure a trained model, and give the evaluation's run with its metrics. See `Session.evaluate`."""
    return default_session().evaluate(run, data, progress=progress, **options)


def predict(run: str, images: Any, *, progress: bool = True, **options: Any) -> list[Prediction]:
    """What a trained model says of images: paths, folders, PIL images, arrays. See `Session.predict`."""
    return default_session().predict(run, images, progress=progress, **options)


def export(run: str = "last", format: str = "onnx", *, progress: bool = True, **options: Any) -> Export:  # noqa: A002
    """Write a trained model for other programs, and check what was written. See `Session.export`."""
    return default_session().export(run, format, progress=progress, **options)


def run(run: str = "last") -> Run:
    """The run that an id, a unique prefix, a name, or ``last`` names. See `Session.run`."""
    return default_session().run(run)


def runs() -> list[Run]:
    """All runs, newest first. See `Session.runs`."""
    return default_session().runs()


def models(pattern: str = "*", *, framework: str | None = None) -> list[Model]:
    """Models whose name matches the pattern. See `Session.models`."""
    return default_session().models(pattern, framework=framework)


def plugins() -> tuple[Plugin, ...]:
    """Installed plugins, broken ones among them. See `Session.plugins`."""
    return default_session().plugins()


def environments() -> list[Generation]:
    """Every generation of every environment. See `Session.environments`."""
    return default_session().environments()


def check_dataset(
    data: str | os.PathLike[str], *, task: Task | str | None = None, batch_size: int | None = None
) -> DatasetReport:
    """Report what is wrong with a dataset. See `Session.check_dataset`."""
    return default_session().check_dataset(data, task=task, batch_size=batch_size)
