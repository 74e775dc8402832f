from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from visiontrain_harness.processes import until

from visiontrain.errors import DatasetError, ProtocolError, WorkerCrashedError
from visiontrain.protocol.inference import PredictParams
from visiontrain.protocol.structure import unstructure
from visiontrain.runners import warm
from visiontrain.runners.warm import WarmWorker

ANSWER = {"classes": ["a"], "multi_label": False, "predictions": []}
ASKED = PredictParams("classify", "m", "/c.pt", (), 1, "cpu", 0.0)


class Connection:
    """Stands for a worker; `ended` is how it was ended: in good order, or at once."""

    started: list

    def __init__(self, command):
        self.command = command
        self.ended = None
        self.answer = ANSWER
        Connection.started.append(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.ended = "at once" if kind else "in good order"

    def initialize(self):
        pass

    def request(self, method, params, *, timeout):
        assert (method, timeout) == ("predict", warm.PATIENCE)
        assert unstructure(params)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def forget(self):
        self.ended = "forgotten"


class Held:
    def __init__(self, held):
        self._held = held

    def __enter__(self):
        self._held.append(self)
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._held.remove(self)


@pytest.fixture
def home(monkeypatch):
    """A planner, and what of its environments is held."""
    Connection.started = []
    monkeypatch.setattr(warm, "WorkerConnection", Connection)
    held = []
    return SimpleNamespace(
        held=held,
        store=SimpleNamespace(hold=lambda _: Held(held)),
        command=lambda framework, environment, fixed: environment.in_use_path,
    )


def trained(environment="one"):
    return SimpleNamespace(framework=None, environment=SimpleNamespace(in_use_path=Path(environment)))


@pytest.fixture
def worker():
    worker = WarmWorker(idle=600)
    yield worker
    worker.close()


def test_one_worker_answers_and_holds_its_environment(home, worker):
    for _ in range(3):
        assert worker.predict(home, trained(), ASKED).classes == ("a",)
    assert len(Connection.started) == len(home.held) == 1
    worker.close()
    assert (Connection.started[0].ended, home.held) == ("in good order", [])


def test_another_environment_needs_another_worker(home, worker):
    worker.predict(home, trained("one"), ASKED)
    worker.predict(home, trained("two"), ASKED)
    assert [each.command for each in Connection.started] == [Path("one"), Path("two")]
    assert [each.ended for each in Connection.started] == ["in good order", None]
    assert len(home.held) == 1


@pytest.mark.parametrize(
    ("raised", "ended"),
    [
        (DatasetError("it can't"), None),
        (WorkerCrashedError("killed"), "at once"),
        (ProtocolError("nonsense"), "at once"),
        (KeyboardInterrupt(), "at once"),  # its answer would be taken for that to the next question
    ],
)
def test_what_ends_a_worker(home, worker, raised, ended):
    worker.predict(home, trained(), ASKED)
    Connection.started[0].answer = raised
    with pytest.raises(type(raised)):
        worker.predict(home, trained(), ASKED)
    assert Connection.started[0].ended == ended
    Connection.started[0].answer = ANSWER
    assert worker.predict(home, trained(), ASKED).classes == ("a",)
    assert len(Connection.started) == (1 if ended is None else 2)


def test_an_answer_that_is_none_ends_it(home, worker):
    worker.predict(home, trained(), ASKED)
    Connection.started[0].answer = {"classes": "a"}
    with pytest.raises(ProtocolError):
        worker.predict(home, trained(), ASKED)
    assert Connection.started[0].ended == "at once"


def test_what_to_do_is_said_of_a_worker_that_died(home, worker):
    worker.predict(home, trained(), ASKED)
    Connection.started[0].answer = WorkerCrashedError("killed by SIGKILL")
    with pytest.raises(WorkerCrashedError) as caught:
        worker.predict(home, trained(), ASKED)
    assert "smaller batch size" in caught.value.instruction


def test_an_idle_one_is_ended(home):
    worker = WarmWorker(idle=0.05)
    worker.predict(home, trained(), ASKED)
    until(lambda: Connection.started[0].ended, "it is ended")
    assert home.held == []


def test_a_timer_of_before_ends_none_that_was_asked_since(home, worker):
    worker.predict(home, trained(), ASKED)
    late = threading.Thread(target=worker._end_if_idle)  # not the timer that is set now
    late.start()
    late.join()
    assert Connection.started[0].ended is None


def test_a_forked_child_forgets_it_whatever_lock_was_held(home, worker):
    worker.predict(home, trained(), ASKED)
    worker._lock.acquire()
    warm._forget_in_child()
    assert (Connection.started[0].ended, home.held) == ("forgotten", [])
    worker.predict(home, trained(), ASKED)
    assert len(Connection.started) == 2
