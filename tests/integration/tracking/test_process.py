"""Tracking is beside the training: what goes wrong with it is told, and harms no run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request

import pytest
from typer.testing import CliRunner
from visiontrain_harness.processes import until

from visiontrain.cli.main import app
from visiontrain.errors import SpecError, TrackingError
from visiontrain.tracking.state import write_state


@pytest.fixture
def command(tracked, monkeypatch):
    """The command line in the tracked home."""
    monkeypatch.setenv("VISIONTRAIN_HOME", str(tracked.home))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_a_run_whose_tracker_can_t_be_built_goes_on_and_says_so(tracked, command, monkeypatch):
    (tracked.home / "environments/mlflow").unlink()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9")
    monkeypatch.setenv("UV_CACHE_DIR", str(tracked.folder / "cache"))
    run = tracked.train(epochs=2)
    assert run.status == "completed"
    until(lambda: tracked.state(run).error is not None, "the failure is told", within=120)
    tracked.until_let_go(run)
    assert not run.tracking.complete
    shown = command("runs", "show", run.run_id)
    assert "tracking" in shown.stdout
    assert "not all is sent yet" in shown.stdout
    failed = command("runs", "sync")
    assert failed.exit_code == 1
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    (tracked.home / "environments/mlflow").rename(tracked.folder / "unfinished")
    tracked.use_environment("mlflow")
    sent = command("runs", "sync")
    assert (sent.exit_code, sent.stdout.split()) == (0, [run.run_id])
    assert run.tracking.complete
    assert "There is nothing to send" in command("runs", "sync").stderr


def test_doctor_asks_the_tracker_s_environment(command):
    (line,) = (line for line in command("doctor").stdout.splitlines() if "environment mlflow" in line)
    assert line.startswith("ok")
    assert "onnxruntime" in line
    assert "devices" not in line


def test_a_training_starts_at_once_and_waits_for_no_tracker(tracked):
    """The tracker's client alone takes seconds to start; the run is over before it has sent anything."""
    run = tracked.train(epochs=2)
    assert tracked.state(run).offset == 0
    tracked.until_sent(run)


def test_credentials_reach_the_tracker_and_no_trainer(tracked, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "geheim")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    framework = tracked.session.framework("counter")
    environment = tracked.session.build_environment("counter")
    assert not {name for name in tracked.session._planner.command(framework, environment, {}).env if "MLFLOW" in name}
    run = tracked.train(epochs=1)
    tracked.until_sent(run)
    assert tracked.read()[run.run_id]["experiment"] == "mine"


def test_what_makes_no_sense_is_refused(tracked):
    run = tracked.train(epochs=1, tracking="off")
    with pytest.raises(TrackingError, match="is not tracked"):
        tracked.session.sync(run.run_id, progress=False)
    with pytest.raises(SpecError, match="is for one run"):
        tracked.session.sync(register="name", progress=False)
    with pytest.raises(SpecError, match="tracking: must be off or an address"):
        tracked.train(epochs=1, tracking="nowhere")
    assert len(tracked.session.runs()) == 1


def test_the_page_shows_the_runs_and_its_server_ends_with_the_command(tracked, port):
    run = tracked.train(epochs=1, name="seen on the page")
    tracked.until_sent(run)
    env = {**os.environ, "VISIONTRAIN_HOME": str(tracked.home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    shown = [sys.executable, "-m", "visiontrain", "ui", "--no-browser", "--port", str(port)]
    env["MLFLOW_TRACKING_URI"] = "sqlite:////data/another.db"
    with subprocess.Popen(shown, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().strip()
        assert address == f"http://127.0.0.1:{port}"
        page = urllib.request.urlopen(address, timeout=30).read().decode()
        assert "MLflow" in page
        (found,) = tracked.read(address).values()
        assert found["name"] == "seen on the page"
        process.terminate()
        assert process.wait(60) == 143
        assert "own store, not those in sqlite:////data/another.db" in " ".join(process.stderr.read().split())
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=5)


def test_a_report_that_can_t_be_made_keeps_nothing_else_from_being_sent(tracked, monkeypatch):
    def refuse(run_dir):
        raise ValueError("no page of this")

    def keep_state(_home, run_dir, state, **_):
        write_state(run_dir, state)

    monkeypatch.setattr("visiontrain.tracking.follower.start_follower", keep_state)
    run = tracked.train(epochs=2)
    monkeypatch.setattr("visiontrain.tracking.sending.write_report", refuse)
    with pytest.warns(UserWarning, match="is not sent: no page of this"):
        tracked.session.sync(run.run_id, progress=False)
    assert run.tracking.complete
    found = tracked.read()[run.run_id]
    assert (found["status"], found["files"], len(found["points"]["accuracy"])) == ("FINISHED", ["class_map.json"], 2)


def test_the_page_of_a_server_is_its_own(tracked, command, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:geheim@there:5000")
    told = command("ui", "--no-browser")
    assert (told.exit_code, told.stdout.strip()) == (0, "http://there:5000")


def test_the_machine_s_loads_are_sent(tracked):
    handle = tracked.start(epochs=20, steps=2, pause=0.4)
    run = handle.run
    until((run.run_dir / "system_metrics.jsonl").exists, "a sample was taken", within=120)
    handle.wait(timeout=120)
    tracked.until_sent(run)
    lines = (run.run_dir / "system_metrics.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line)["values"]["system/system_memory_usage_percentage"] for line in lines]
    points = tracked.read()[run.run_id]["points"]["system/system_memory_usage_percentage"]
    assert [(step, value) for step, value, _ in points] == [(n, repr(value)) for n, value in enumerate(samples)]
