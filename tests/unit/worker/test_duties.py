from __future__ import annotations

import signal

import pytest
from visiontrain_harness.processes import until
from visiontrain_harness.worker import Worker

from visiontrain.protocol.inference import EvaluateParams, ExportParams, ImageSource, PredictParams
from visiontrain.protocol.structure import unstructure

MODEL = {"task": "classify", "model": "defect", "checkpoint": "/c.pt"}


@pytest.fixture
def worker(tmp_path):
    def start(trainer):
        started = Worker(tmp_path, f"uses:{trainer}")
        workers.append(started)
        started.initialize()
        return started

    workers = []
    yield start
    for each in workers:
        each.__exit__()


def of_run(worker):
    return {"run_id": "run", "run_dir": str(worker.run_dir), "dataset": "/index", **MODEL}


def evaluate(worker, number=2):
    params = EvaluateParams(**of_run(worker), splits=("val",), batch_size=1, device="cpu")
    worker.send("evaluate", unstructure(params), number=number)


def predict(worker, number=2):
    params = PredictParams(**MODEL, images=(ImageSource("/a.jpg"),), batch_size=1, device="cpu", confidence=0.0)
    worker.send("predict", unstructure(params), number=number)


def export(worker, number=2):
    params = ExportParams(**of_run(worker), format="x", split="val", images=1, tolerance=0.1)
    worker.send("export", unstructure(params), number=number)


def system_metrics(worker, number=2):
    worker.send("system_metrics", {}, number=number)


@pytest.mark.parametrize("ask", [evaluate, predict, export, system_metrics])
def test_what_a_trainer_does_not_offer_is_said(tmp_path, ask):
    with Worker(tmp_path, "base:Steady") as worker:
        worker.initialize()
        ask(worker)
        error = worker.read()["error"]
        assert error["data"]["type"] == "PluginError"
        assert f"visiontrain_defects.base:Steady can't {ask.__name__}" in error["message"]
        assert "Upgrade the plugin" in error["data"]["instruction"]


@pytest.mark.parametrize(
    ("trainer", "offers"), [("uses:All", ["evaluate", "predict", "export"]), ("base:Steady", [])], ids=["all", "none"]
)
def test_what_a_trainer_offers_is_told_at_the_beginning(tmp_path, trainer, offers):
    with Worker(tmp_path, trainer) as worker:
        assert worker.initialize()["result"]["offers"] == offers


@pytest.mark.parametrize("ask", [evaluate, export])
def test_a_run_reports_until_it_is_answered_and_numbers_may_be_none(worker, ask):
    using = worker("All")
    ask(using)
    events, answer = using.until(2)
    assert [event["type"] for event in events] == ["progress", "artifact"]
    assert answer["result"] == {"status": "completed", "metrics": {"x": None, "y": 1.0}, "non_finite": {"x": "NaN"}}
    ask(using, number=3)
    events, _ = using.until(3)
    assert events[0]["seq"] == 1


@pytest.mark.parametrize("ask", [evaluate, export])
def test_a_stop_ends_it(worker, ask):
    using = worker("Waits")
    ask(using)
    assert using.read()["params"]["type"] == "progress"
    using.send("stop")
    _, answer = using.until(2)
    assert answer["result"]["status"] == "stopped"


def test_a_prediction_has_no_run(worker):
    using = worker("All")
    predict(using)
    answer = using.read()
    assert answer["result"]["classes"] == ["a"]
    assert answer["result"]["predictions"][0]["classify"] == {"probabilities": [1.0]}


def test_a_prediction_keeps_nothing_so_sigterm_ends_the_worker(worker):
    using = worker("Waits")
    predict(using)
    until(lambda: b"predicting" in using.log, "it predicts")
    using.process.send_signal(signal.SIGTERM)
    assert using.process.wait(30) == 128 + signal.SIGTERM


def test_an_evaluation_is_stopped_by_sigterm_and_answered(worker):
    using = worker("Waits")
    evaluate(using)
    using.read()
    using.process.send_signal(signal.SIGTERM)
    _, answer = using.until(2)
    assert answer["result"]["status"] == "stopped"
