"""How far a run has been sent is kept, and who sends it."""

from __future__ import annotations

import fcntl

import pytest
from visiontrain_harness.runs import record

from visiontrain.errors import TrackingError
from visiontrain.rundir.directory import RECORD
from visiontrain.supervisor.record import write_record
from visiontrain.tracking.state import (
    STATE,
    TrackingState,
    is_complete,
    is_followed,
    lock_following,
    lock_state,
    read_state,
    write_state,
)
from visiontrain.tracking.told import read_tracking


def test_a_run_without_a_state_is_not_tracked(tmp_path):
    assert read_state(tmp_path) is None
    assert read_tracking(tmp_path) is None


def test_what_is_written_is_read(tmp_path):
    state = TrackingState("notes", None, "mine", offset=7, uncertain=True, reached={"loss": 3}, tracked="x")
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state


def test_a_damaged_state_says_what_to_do(tmp_path):
    (tmp_path / STATE).write_text("{", encoding="utf-8")
    with pytest.raises(TrackingError, match="is damaged"):
        read_state(tmp_path)


@pytest.mark.parametrize(
    ("status", "attempt", "complete"), [("completed", 1, True), (None, 0, False), ("completed", 2, False)]
)
def test_a_run_is_complete_when_its_latest_attempt_s_end_was_accepted(status, attempt, complete, tmp_path):
    write_record(tmp_path / RECORD, record("r", status="completed"))
    assert is_complete(tmp_path, TrackingState("notes", None, "e", status=status, attempt=attempt)) is complete


def test_an_export_is_complete_when_its_model_was_told_of(tmp_path):
    state = TrackingState("notes", None, "e", status="completed", attempt=1)
    export = {**vars(record("r", status="completed")), "kind": "export", "spec": {"format": "onnx"}}
    write_record(tmp_path / RECORD, type(record("r"))(**export))
    assert not is_complete(tmp_path, state)
    assert is_complete(tmp_path, TrackingState("notes", None, "e", status="completed", attempt=1, model="none"))


def test_one_process_sends_at_a_time_and_whoever_follows_is_seen(tmp_path):
    assert not is_followed(tmp_path)
    with lock_following(tmp_path):
        assert is_followed(tmp_path)
        with lock_state(tmp_path, wait=False) as first, lock_state(tmp_path, wait=False) as second:
            assert (first, second) == (True, False)
    assert not is_followed(tmp_path)
    with (tmp_path / "tracking.following").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
