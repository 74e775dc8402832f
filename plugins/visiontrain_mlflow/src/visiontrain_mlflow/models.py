"""An exported model as MLflow keeps and serves it: a pyfunc around the ONNX file, with pinned requirements."""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

import visiontrain_served
from visiontrain.errors import TrackingError
from visiontrain.protocol.tracking import LogModelParams, LogModelResult
from visiontrain_mlflow.stores import Store
from visiontrain_served.objects import CONFIDENCE

__all__ = ["log_model"]

#: The tasks whose models find objects.
_OBJECT_TASKS = frozenset({"detect", "segment", "pose", "obb"})

#: The tasks whose models `visiontrain_served` knows to serve.
SERVED_TASKS = frozenset({"classify", "semantic", *_OBJECT_TASKS})

#: Where a model lies among its run's artifacts.
_NAME = "model"

#: What `visiontrain_served` imports.
_REQUIRED = ("mlflow", "onnxruntime", "numpy", "pillow", "pandas")

_CONFIDENCE = ParamSpec("confidence", DataType.double, CONFIDENCE)


def log_model(store: Store, params: LogModelParams) -> LogModelResult:
    """Log the exported model in `params.folder`; logged again, it takes its own place.

    Raises:
        TrackingError: it is to be registered, and can't be served.
    """
    told = json.loads((Path(params.folder) / "model.json").read_text(encoding="utf-8"))
    if told.get("format") != "onnx" or told["task"] not in SERVED_TASKS:
        if params.register_as is None:
            return LogModelResult(None)
        raise TrackingError(
            f"a model of the task {told['task']} in the format {told.get('format')} can't be registered: MLflow would "
            "not know how to serve it",
            instruction=f"Register an ONNX export of a model for {' or '.join(sorted(SERVED_TASKS))}.",
        )
    code = Path(visiontrain_served.__file__).resolve().parent
    with tempfile.TemporaryDirectory(prefix="visiontrain-") as folder:
        made = Path(folder) / _NAME
        mlflow.pyfunc.save_model(
            made,
            python_model=str(code / "model.py"),  # the model from its code: nothing is pickled
            code_paths=[str(code)],
            artifacts={"export": params.folder},
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIRED],
            signature=_signature(told["task"]),
            metadata={"task": told["task"], "classes": told["classes"], "visiontrain_run": params.run_id},
        )
        store.client.log_artifacts(params.tracked, str(made), _NAME)
    uri = f"runs:/{params.tracked}/{_NAME}"
    if params.register_as is None:
        return LogModelResult(uri)
    return LogModelResult(uri, _register(store, params.tracked, params.register_as, uri))


def _signature(task: str) -> ModelSignature:
    images = Schema([ColSpec(DataType.binary, "image")])
    if task in _OBJECT_TASKS:
        return ModelSignature(inputs=images, params=ParamSchema([_CONFIDENCE]))
    return ModelSignature(inputs=images)


def _register(store: Store, run_id: str, name: str, uri: str) -> str:
    """The version of the registered model that is this run's; a new one where none is."""
    for known in store.client.search_model_versions(f"run_id = '{run_id}'"):
        if known.name == name:
            return str(known.version)
    mlflow.set_tracking_uri(store.uri)
    mlflow.set_registry_uri(store.uri)
    return str(mlflow.register_model(uri, name).version)
