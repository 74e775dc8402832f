"""No password is in what is said; and nobody is told anything that the person did not name."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from mlflow.telemetry.utils import is_telemetry_disabled

from visiontrain.errors import TrackingError
from visiontrain.protocol.tracking import TrackingTarget
from visiontrain_mlflow.plugin import MANIFEST
from visiontrain_mlflow.stores import artifacts_folder, explained, open_store, redacted, store_uri

# MLflow's models use what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_passwords_of_addresses_and_variables_are_not_repeated(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "geheim-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim/2")
    said = redacted(
        "no: geheim-1, geheim/2, db://h?sslpassword=geheim-4, a://b:ge@heim/geheim@c, http://ann:geheim-3@host/x"
    )
    assert "heim" not in said
    assert said.endswith("http://***@host/x")


def test_what_a_store_raises_becomes_an_error_without_a_password():
    target = TrackingTarget("http://ann:geheim@127.0.0.1:9", "e", "/nowhere")
    with pytest.raises(TrackingError) as caught, explained(target):
        raise ConnectionError("http://ann:geheim@127.0.0.1:9 refused")
    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("uri", "reason"),
    [("http://127.0.0.1:9", "Connection refused"), ("http://no.such.host.invalid:5000", "Failed to resolve")],
)
def test_a_server_that_is_not_there_is_told_in_few_words_and_what_to_do(uri, reason, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    target = TrackingTarget(uri, "e", "/nowhere")
    with pytest.raises(TrackingError, match=reason) as caught, explained(target):
        open_store(target)
    assert caught.value.reason.startswith(f"MLflow at {uri} can't be reached: ")
    assert len(caught.value.reason) < 200
    assert "visiontrain runs sync" in caught.value.instruction


def test_a_server_that_answers_with_errors_is_not_said_to_be_away():
    pool = "HTTPConnectionPool(host='h', port=5): Max retries exceeded with url: /api"
    with pytest.raises(TrackingError) as caught, explained(TrackingTarget("http://h:5", "e", "/nowhere")):
        raise ConnectionError(f"{pool} (Caused by ResponseError('too many 500 error responses'))")
    assert caught.value.reason == "MLflow at http://h:5 answered with error 500"


def test_an_experiment_that_was_deleted_says_so(tmp_path):
    target = TrackingTarget(None, "mine", str(tmp_path / "a folder"))
    store = open_store(target)
    assert open_store(target).experiment_id == store.experiment_id
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(TrackingError, match="was deleted"):
        open_store(target)


def test_artifacts_of_a_database_that_is_named_stay_beside_it(tmp_path):
    database = tmp_path / "a folder" / "mine.db"
    database.parent.mkdir()
    store = open_store(TrackingTarget(f"sqlite:///{quote(str(database))}", "my/own", str(tmp_path / "home")))
    location = store.client.get_experiment(store.experiment_id).artifact_location
    assert database.is_file()
    assert location == f"{database.parent.as_uri()}/artifacts/my%2Fown"


def test_artifacts_of_a_database_on_another_machine_stay_in_the_home(tmp_path):
    folder = tmp_path / "home"
    for uri in ("postgresql://host/db", "mysql+pymysql://ann:pw@host/db"):
        assert artifacts_folder(TrackingTarget(uri, "e", str(folder))) == folder / "artifacts"
    for uri in ("http://host", "https://host/path", "databricks", "file:///data/mlruns"):  # each has its own place
        assert artifacts_folder(TrackingTarget(uri, "e", str(folder))) is None


def test_the_store_is_where_visiontrain_ui_looks(tmp_path):
    folder = tmp_path / "100 % mine?"
    uri = store_uri(TrackingTarget(None, "e", str(folder)))
    (said,) = (word for word in MANIFEST.pages if word.startswith("sqlite"))
    assert said.format(quoted=quote(str(folder))) == uri


def test_mlflow_s_own_telemetry_is_off(monkeypatch):
    for name in ("CI", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in MANIFEST.fixed.items():
        monkeypatch.setenv(name, value)
    assert is_telemetry_disabled()
