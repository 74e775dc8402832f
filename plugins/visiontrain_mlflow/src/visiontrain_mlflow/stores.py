"""Where runs go: a server, or MLflow's SQLite store in a folder of this machine; and what is said where one refuses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from mlflow.exceptions import MlflowException, RestException
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.tracking import MlflowClient

from visiontrain.errors import TrackingError
from visiontrain.protocol.tracking import TrackingTarget

__all__ = ["DATABASE", "Store", "artifacts_folder", "explained", "open_store", "redacted", "store_uri"]

#: The SQLite file's name in the store's folder.
DATABASE = "mlflow.db"

#: Up to the last @: what should be escaped in a password may not be.
_USERINFO = re.compile(r"(://)[^\s\"']+@")
_FIELD = re.compile(
    r"([?&][\w.-]*(?:password|passwd|pwd|token|secret|signature|sig|api_?key)=)[^&\s\"']+", re.IGNORECASE
)
_SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|CREDENTIAL|_KEY", re.IGNORECASE)

#: What urllib3 says where there is no connection: whose words they are, then why.
_NO_CONNECTION = re.compile(r"Max retries exceeded.*\(Caused by (.*)\)$")
_ANSWERED = re.compile(r"too many (\d+) error responses")
_WHY = re.compile(r"\w+\(\"\w+\(.*?\): (?:Failed to establish a new connection: )?(.*)\"\)")

#: Values that are too short to be a secret would make every message unreadable.
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Store:
    """An experiment in a store, and the client that reaches it."""

    client: MlflowClient
    uri: str
    experiment_id: str

    def page(self, run_id: str) -> str | None:
        """The address of a run's page, where the store is a server that shows pages."""
        if not self.uri.startswith(("http://", "https://")):
            return None
        asked = urlsplit(self.uri)
        base = urlunsplit(asked._replace(netloc=asked.netloc.rpartition("@")[2])).rstrip("/")
        return f"{base}/#/experiments/{self.experiment_id}/runs/{run_id}"


def store_uri(target: TrackingTarget) -> str:
    """The URI of the server, or of the SQLite store in the target's folder."""
    return target.uri or f"sqlite:///{quote(str(Path(target.folder) / DATABASE))}"


def open_store(target: TrackingTarget) -> Store:
    """The experiment that is asked for; made where it is not there yet.

    Raises:
        TrackingError: it was deleted.
        MlflowException: the store refuses, or does not answer.
    """
    uri, artifacts = store_uri(target), artifacts_folder(target)
    if target.uri is not None:
        client = MlflowClient(tracking_uri=uri)
        return Store(client, uri, _experiment(client, target.experiment, artifacts))
    folder = Path(target.folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Two processes that make the same tables at once get in each other's way.
    with (folder / "making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client = MlflowClient(tracking_uri=uri)
        return Store(client, uri, _experiment(client, target.experiment, artifacts))


def artifacts_folder(target: TrackingTarget) -> Path | None:
    """Where artifacts go whose store has no place for them; None: it has one, as servers do.

    MLflow's client would make one in the folder that it runs in, which is here one that is removed at its end.
    """
    uri = urlsplit(store_uri(target))
    engine = uri.scheme.partition("+")[0]
    if engine not in DATABASE_ENGINES:
        return None
    home = Path(target.folder) if engine != "sqlite" else Path(unquote(uri.path.removeprefix("/"))).parent
    return home / "artifacts"


def _experiment(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        location = None if artifacts is None else f"{artifacts.as_uri()}/{quote(name, safe='')}"
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # somebody else was faster
    if found is None or found.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment {name!r} was deleted in MLflow",
            instruction="Restore it there, or name another one with MLFLOW_EXPERIMENT_NAME.",
        )
    return str(found.experiment_id)


@contextlib.contextmanager
def explained(target: TrackingTarget) -> Iterator[None]:
    """Say what a refusal of the store means, without any password in it.

    Raises:
        TrackingError: in place of what MLflow raises.
    """
    where = redacted(target.uri) if target.uri else f"the store in {target.folder}"
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # noqa: BLE001 - of MLflow, requests, SQLAlchemy, a cloud's client...
        said = redacted(" ".join(str(error).split()))
        unreached, answered = _NO_CONNECTION.search(said), _ANSWERED.search(said)
        if answered:  # MLflow's client keeps no more of it
            raise TrackingError(f"MLflow at {where} answered with error {answered[1]}") from None
        if unreached:
            reason = unreached[1]
            if why := _WHY.fullmatch(reason):
                reason = why[1]
            raise TrackingError(
                f"MLflow at {where} can't be reached: {reason[:600]}",
                instruction="Check the address and whether the server runs, then send what was missed: "
                "visiontrain runs sync",
            ) from None  # as below
        message = said[:600]
        raise TrackingError(
            f"MLflow at {where} did not take what was sent: {type(error).__name__}: {message}",
            instruction=_advice(error, message),
        ) from None  # the cause's own message may hold a password


def redacted(text: str) -> str:
    """The text without passwords: those in addresses, and the values of variables that hold some."""
    text = _FIELD.sub(r"\1***", _USERINFO.sub(r"\1***@", text))
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text


def _advice(error: Exception, message: str) -> str | None:
    code = error.error_code if isinstance(error, RestException) else ""
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED") or re.search(r"\b40[13]\b", message):
        return (
            "Check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, then send what was "
            "missed: visiontrain runs sync"
        )
    return None
