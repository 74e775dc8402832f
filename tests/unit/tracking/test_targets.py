"""Where a run is tracked, and that no password is kept."""

from __future__ import annotations

import pytest

from visiontrain.errors import SpecError, TrackingError
from visiontrain.home import Home
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.tracking.targets import begin_tracking, find_target, without_password


@pytest.fixture
def tracker(tmp_path):
    return TrackerManifest(
        name="notes",
        summary="Notes",
        licence="Apache-2.0",
        environment=tmp_path,
        tracker="notes.tracker:Notes",
        uri_variable="NOTES_URI",
        experiment_variable="NOTES_EXPERIMENT",
        pages=("-m", "notes"),
    )


def test_the_store_in_the_home_is_taken_where_nobody_says_anything(tracker):
    state = begin_tracking(None, [tracker], variables={})
    assert (state.tracker, state.uri, state.experiment) == ("notes", None, "visiontrain")


def test_what_is_asked_for_wins_over_the_environment_and_ours_over_the_tracker_s_own(tracker):
    variables = {"NOTES_URI": "http://third", "VISIONTRAIN_TRACKING": "http://second", "NOTES_EXPERIMENT": "mine"}
    assert begin_tracking("http://first", [tracker], variables=variables).uri == "http://first"
    assert begin_tracking(None, [tracker], variables=variables).uri == "http://second"
    del variables["VISIONTRAIN_TRACKING"]
    state = begin_tracking(None, [tracker], variables=variables)
    assert (state.uri, state.experiment) == ("http://third", "mine")


@pytest.mark.parametrize(("asked", "variables"), [("off", {}), (None, {"VISIONTRAIN_TRACKING": "off"})])
def test_it_can_be_off(asked, variables, tracker):
    assert begin_tracking(asked, [tracker], variables={"NOTES_URI": "http://there", **variables}) is None


def test_without_a_tracker_nothing_is_tracked_and_asking_for_it_is_refused():
    assert begin_tracking(None, [], variables={}) is None
    with pytest.raises(SpecError, match="no installed plugin adds a tracker"):
        begin_tracking("http://there", [], variables={})


@pytest.mark.parametrize("asked", ["somewhere", "/a/folder", ""])
def test_what_is_no_address_is_refused(asked, tracker):
    with pytest.raises(SpecError, match="tracking"):
        begin_tracking(asked, [tracker], variables={})


@pytest.mark.parametrize("asked", ["databricks", "databricks://profile", "sqlite:////data/mlflow.db"])
def test_addresses_of_all_kinds_are_taken(asked, tracker):
    assert begin_tracking(asked, [tracker], variables={}).uri == asked


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("sqlite:///mlflow.db", "sqlite:///{here}/mlflow.db"),
        ("sqlite:///a/b.db?timeout=20", "sqlite:///{here}/a/b.db?timeout=20"),
        ("sqlite+pysqlite:///./mlflow.db", "sqlite+pysqlite:///{here}/mlflow.db"),
        ("file:./mlruns", "file://{here}/mlruns"),
        ("./mlruns", "{here}/mlruns"),
        ("mlruns", "{here}/mlruns"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("file:///data/mlruns", "file:///data/mlruns"),
        ("databricks", "databricks"),
    ],
)
def test_what_is_relative_is_so_to_the_person_s_folder_not_to_the_one_of_whoever_sends(
    said, meant, tracker, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    state = begin_tracking(None, [tracker], variables={"NOTES_URI": said})
    assert state.uri == meant.format(here=tmp_path)


@pytest.mark.parametrize("said", ["sqlite://", "sqlite:///:memory:", "sqlite+pysqlite://", "sqlite:///"])
def test_a_store_that_nothing_stays_in_is_refused(said, tracker):
    with pytest.raises(SpecError, match="keeps nothing"):
        begin_tracking(None, [tracker], variables={"NOTES_URI": said})


@pytest.mark.parametrize("said", ["localhost:5000", "htp://there", "postgres://there/runs", "HTPS://there"])
@pytest.mark.parametrize("variable", [True, False], ids=["variable", "asked"])
def test_what_the_tracker_can_never_reach_is_refused(said, variable, tracker):
    picky = tracker.model_copy(update={"schemes": ("http", "https", "postgresql")})
    with pytest.raises(SpecError, match=r"no address that notes takes: .* begins with") as caught:
        begin_tracking(None if variable else said, [picky], variables={"NOTES_URI": said} if variable else {})
    assert caught.value.field == ("NOTES_URI" if variable else "tracking")


@pytest.mark.parametrize("said", ["https://there", "HTTP://there", "postgresql+psycopg2://there/runs", "databricks"])
def test_what_the_tracker_may_reach_is_taken(said, tracker):
    picky = tracker.model_copy(update={"schemes": ("http", "https", "postgresql")})
    assert begin_tracking(said, [picky], variables={}).uri == said


@pytest.mark.parametrize("said", ["http://", "https:///path", "http:/host"])
def test_the_address_of_a_server_has_its_name(said, tracker):
    with pytest.raises(SpecError, match="names no host"):
        begin_tracking(said, [tracker], variables={})


@pytest.mark.parametrize(
    "typed",
    [
        "http://ann:geheim@host",
        "https://geheim@host/path",
        "postgresql://ann:ge@heim@host/db",
        "postgresql://ann:ge/heim@host/db",
        "postgresql://host/db?sslpassword=geheim",
        "https://host/path?sig=geheim&user=ann",
        "postgresql://host/db?user=ann&password=geheim",
    ],
)
def test_a_password_that_is_typed_is_refused_and_not_repeated(typed, tracker):
    assert "heim" not in without_password(typed)
    with pytest.raises(SpecError, match="must not hold a password") as caught:
        begin_tracking(typed, [tracker], variables={})
    assert "geheim" not in str(caught.value)


def test_a_password_of_the_environment_is_not_kept_and_asked_for_again(tracker, tmp_path):
    whole = "postgresql://ann:geheim@host/db"
    state = begin_tracking(None, [tracker], variables={"NOTES_URI": whole})
    assert state.uri == without_password(whole) == "postgresql://ann:***@host/db"
    home = Home(tmp_path)
    assert find_target(state, tracker, home, variables={"NOTES_URI": whole}).uri == whole
    for other in ({}, {"NOTES_URI": "postgresql://ann:geheim@another/db"}):
        with pytest.raises(TrackingError, match="whose password is not kept"):
            find_target(state, tracker, home, variables=other)
