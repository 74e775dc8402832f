"""Without a word from the person, runs are tracked in a SQLite store in the home."""

from __future__ import annotations

import json
import math
import subprocess

from visiontrain_harness.processes import until

from visiontrain.protocol.events import MetricsEvent
from visiontrain.rundir.events import EVENTS, read_events


def test_a_run_with_its_parameters_metrics_and_tags_is_in_the_store(tracked):
    run = tracked.train(epochs=3, seed=7, name="mine")
    tracked.until_sent(run)
    found = tracked.read()[run.run_id]
    assert (found["name"], found["status"], found["experiment"]) == ("mine", "FINISHED", "visiontrain")
    assert {"epochs": "3", "seed": "7", "steps": "3", "model": "count_small"}.items() <= found["params"].items()
    events = [event for event in read_events(run.run_dir / EVENTS) if isinstance(event, MetricsEvent)]
    for name in ("accuracy", "train_loss"):
        assert found["points"][name] == [[e.step, repr(e.values[name]), round(e.time * 1000)] for e in events]
    assert [(step, value) for step, value, _ in found["points"]["epoch"]] == [(3, "1.0"), (6, "2.0"), (9, "3.0")]
    assert [point[:2] for point in found["points"]["best/accuracy"]] == [[9, repr(run.metrics["accuracy"])]]
    record, tags = run.record, found["tags"]
    assert tags["visiontrain.data.fingerprint"] == record.data.fingerprint
    assert tags["visiontrain.environment.digest"] == record.environment.digest
    assert (tags["visiontrain.seed"], tags["visiontrain.licence"]) == ("7", "Apache-2.0")
    assert (tags["visiontrain.framework"], tags["visiontrain.devices"]) == ("counter", "cpu")
    assert tags["visiontrain.version.counter"] == "1.0"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert tags["mlflow.source.git.commit"] == commit
    assert found["files"] == ["class_map.json", "report.html"]
    assert run.tracking.complete
    assert (run.tracking.id, run.tracking.error) == (found["id"], None)


def test_an_evaluation_is_nested_in_its_training(tracked):
    run = tracked.train(epochs=1)
    evaluation = run.evaluate(progress=False)
    tracked.until_sent(run)
    tracked.until_sent(evaluation)
    found = tracked.read()
    nested = found[evaluation.run_id]
    assert nested["tags"]["mlflow.parentRunId"] == found[run.run_id]["id"]
    assert nested["points"]["accuracy"][0][1] == repr(evaluation.metrics["accuracy"])
    assert math.isnan(float(nested["points"]["val_loss"][0][1]))


def test_a_resumed_run_goes_on_in_the_same_mlflow_run_and_no_point_comes_twice(tracked):
    handle = tracked.start(epochs=4, steps=3, pause=0.3)
    until(lambda: len(handle.run.history) >= 2, "two epochs are done")
    handle.kill()
    run = handle.run
    until(lambda: run.status in {"failed", "stopped"}, "it was ended")
    tracked.until_sent(run)
    before = tracked.read()[run.run_id]
    assert before["status"] in ("FAILED", "KILLED")
    # As if the last checkpoints had not reached the disk: the second epoch is done again.
    last = run.last_checkpoint
    last.write_text(json.dumps({**json.loads(last.read_text()), "step": 3}), encoding="utf-8")
    tracked.session.resume(run.run_id, epochs=5).wait(timeout=60)
    tracked.until_sent(run)
    (found,) = tracked.read().values()
    assert (found["id"], found["status"]) == (before["id"], "FINISHED")
    for name in ("accuracy", "train_loss", "epoch"):
        assert [step for step, *_ in found["points"][name]] == [3, 6, 9, 12, 15]
        assert found["points"][name][:2] == before["points"][name][:2]
    assert (found["params"]["epochs"], found["tags"]["visiontrain.now.epochs"]) == ("4", "5")
    assert found["tags"]["visiontrain.attempt"] == "2"


def test_a_run_with_tracking_off_starts_no_process_and_keeps_no_state(tracked):
    run = tracked.train(epochs=1, tracking="off")
    assert run.tracking is None
    assert not list(run.run_dir.glob("tracking*"))
