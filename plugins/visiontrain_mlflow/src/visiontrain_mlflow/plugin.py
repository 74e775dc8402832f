"""The manifest of MLflow: what the host knows of it. Does not import mlflow."""

from __future__ import annotations

from pathlib import Path

from visiontrain.plugin.hookspecs import RegisterTracker, hookimpl
from visiontrain.plugin.trackers import TrackerManifest

__all__ = ["MANIFEST", "register_trackers"]

MANIFEST = TrackerManifest(
    name="mlflow",
    summary="Runs in MLflow: on this machine, on a server, at Databricks",
    licence="Apache-2.0",
    environment=Path(__file__).parent / "environment",
    tracker="visiontrain_mlflow.tracker:MlflowTracker",
    packages=("visiontrain_mlflow", "visiontrain_served"),
    uri_variable="MLFLOW_TRACKING_URI",
    experiment_variable="MLFLOW_EXPERIMENT_NAME",
    schemes=(
        *("http", "https", "databricks", "databricks-uc", "file"),
        *("sqlite", "postgresql", "mysql", "mssql"),
    ),
    # Credentials of servers, and of the stores that artifacts go to directly.
    variables=(
        *("MLFLOW_*", "DATABRICKS_*", "AWS_*", "AZURE_*", "GOOGLE_*", "BOTO_*"),
        *("NETRC", "KRB5*", "OCI_*", "ALIYUN_*", "ARM_*"),
    ),
    # Nothing is told to anybody but the server that the person names.
    fixed={
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # Trying again is the host's, which keeps what was not accepted: a client that did so too would hide for minutes
        # that a server is down, and might bring the same points twice to a store that does not compare them.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    },
    pages=(
        *("-m", "mlflow", "server", "--host", "{host}", "--port", "{port}", "--workers", "1"),
        *("--backend-store-uri", "sqlite:///{quoted}/mlflow.db", "--artifacts-destination", "{folder}/artifacts"),
    ),
)


@hookimpl
def register_trackers(register: RegisterTracker) -> None:
    """Tell visiontrain of MLflow."""
    register(MANIFEST)
