from __future__ import annotations

import pytest

from visiontrain.errors import StorageError
from visiontrain.protocol.inference import EvaluateResult, ExportResult
from visiontrain.protocol.messages import ErrorInfo, TrainResult
from visiontrain.supervisor.launch import Deadlines
from visiontrain.supervisor.outcome import RESULTS, Outcome, describe
from visiontrain.supervisor.record import CheckpointRecord
from visiontrain.supervisor.stopping import Stop

ASKED = Stop.asked("asked to stop", Deadlines())


@pytest.mark.parametrize("result", [TrainResult("completed", 1.0, {"a": 1.0}), EvaluateResult("completed", {"a": 1.0})])
@pytest.mark.parametrize("stop", [None, ASKED])
def test_what_is_done_is_completed_though_a_stop_came(result, stop):
    assert Outcome.answered(result, stop) == Outcome("completed", metrics={"a": 1.0})


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        (ASKED, "stopped", "asked to stop"),
        (Stop.host_gone(Deadlines()), "interrupted", "the process that started the run ended"),
        (None, "stopped", "SIGTERM to its worker"),
    ],
)
def test_who_stopped_it_is_the_reason(stop, status, reason):
    found = Outcome.answered(ExportResult("stopped"), stop)
    assert (found.status, found.reason) == (status, reason)


def test_what_is_lost_is_said_of_runs_that_can_be_resumed():
    last = CheckpointRecord("checkpoints/last.pt", 15, 1.5)
    assert "at 1.5 epochs, is lost" in Outcome.forced(ASKED, last, resumable=True).reason
    assert "resuming it begins anew" in Outcome.forced(ASKED, None, resumable=True).reason
    assert Outcome.forced(ASKED, None, resumable=False).reason == "asked to stop"


def test_a_stop_before_the_beginning_says_when():
    assert Outcome.never_begun(ASKED, waited=True).reason.endswith("while it waited for its device")
    assert Outcome.never_begun(ASKED, waited=False).reason.endswith("before it began")


def test_a_failure_s_headline_is_the_reason():
    error = ErrorInfo(0, "no room", "StorageError", "Make some.")
    assert describe(StorageError("no room", instruction="Make some.")) == error
    assert Outcome.failed(error) == Outcome("failed", "StorageError: no room", error)


def test_every_kind_of_run_has_its_result():
    assert set(RESULTS) == {"train", "evaluate", "export"}
