"""Train vision models of any framework, each in its own locked environment.

Names are loaded when they are first used, so that ``import visiontrain`` costs next to nothing and a worker that
imports it pulls in nothing of the host.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visiontrain.api import (
        check_dataset,
        environments,
        evaluate,
        export,
        models,
        plugins,
        predict,
        resume,
        run,
        runs,
        start,
        train,
    )
    from visiontrain.errors import (
        AmbiguousModelError,
        DatasetError,
        DeviceError,
        EnvironmentBuildError,
        ExportError,
        ImageError,
        InputError,
        PlatformError,
        PluginError,
        ProtocolError,
        RunBusyError,
        RunError,
        RunFailedError,
        RunInterruptedError,
        SpecError,
        StorageError,
        TrackingError,
        UnknownModelError,
        UnknownRunError,
        VisiontrainError,
        WeightsError,
        WorkerCrashedError,
    )
    from visiontrain.exports import Export
    from visiontrain.following import RunHandle
    from visiontrain.handles import Run
    from visiontrain.installation import Model
    from visiontrain.predictions import DetectedObject, Prediction
    from visiontrain.protocol.tasks import Task
    from visiontrain.semantic_maps import SemanticMap
    from visiontrain.session import Session
    from visiontrain.specs import TrainSpec

__version__ = "0.1.0"

# Where each public name lives; a test compares it with __all__ and with the imports above.
_EXPORTS = {
    "AmbiguousModelError": "visiontrain.errors",
    "DatasetError": "visiontrain.errors",
    "DetectedObject": "visiontrain.predictions",
    "DeviceError": "visiontrain.errors",
    "EnvironmentBuildError": "visiontrain.errors",
    "Export": "visiontrain.exports",
    "ExportError": "visiontrain.errors",
    "ImageError": "visiontrain.errors",
    "InputError": "visiontrain.errors",
    "Model": "visiontrain.installation",
    "PlatformError": "visiontrain.errors",
    "PluginError": "visiontrain.errors",
    "Prediction": "visiontrain.predictions",
    "ProtocolError": "visiontrain.errors",
    "Run": "visiontrain.handles",
    "RunBusyError": "visiontrain.errors",
    "RunError": "visiontrain.errors",
    "RunFailedError": "visiontrain.errors",
    "RunHandle": "visiontrain.following",
    "RunInterruptedError": "visiontrain.errors",
    "SemanticMap": "visiontrain.semantic_maps",
    "Session": "visiontrain.session",
    "SpecError": "visiontrain.errors",
    "StorageError": "visiontrain.errors",
    "Task": "visiontrain.protocol.tasks",
    "TrackingError": "visiontrain.errors",
    "TrainSpec": "visiontrain.specs",
    "UnknownModelError": "visiontrain.errors",
    "UnknownRunError": "visiontrain.errors",
    "VisiontrainError": "visiontrain.errors",
    "WeightsError": "visiontrain.errors",
    "WorkerCrashedError": "visiontrain.errors",
    "check_dataset": "visiontrain.api",
    "environments": "visiontrain.api",
    "evaluate": "visiontrain.api",
    "export": "visiontrain.api",
    "models": "visiontrain.api",
    "plugins": "visiontrain.api",
    "predict": "visiontrain.api",
    "resume": "visiontrain.api",
    "run": "visiontrain.api",
    "runs": "visiontrain.api",
    "start": "visiontrain.api",
    "train": "visiontrain.api",
}

__all__ = [
    "AmbiguousModelError",
    "DatasetError",
    "DetectedObject",
    "DeviceError",
    "EnvironmentBuildError",
    "Export",
    "ExportError",
    "ImageError",
    "InputError",
    "Model",
    "PlatformError",
    "PluginError",
    "Prediction",
    "ProtocolError",
    "Run",
    "RunBusyError",
    "RunError",
    "RunFailedError",
    "RunHandle",
    "RunInterruptedError",
    "SemanticMap",
    "Session",
    "SpecError",
    "StorageError",
    "Task",
    "TrackingError",
    "TrainSpec",
    "UnknownModelError",
    "UnknownRunError",
    "VisiontrainError",
    "WeightsError",
    "WorkerCrashedError",
    "__version__",
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


def __getattr__(name: str) -> object:
    if name in _EXPORTS:
        value: object = getattr(importlib.import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
