import os
import signal
import subprocess

import pytest
from visiontrain_harness.json_lines import lines_of

from visiontrain.cli.results import result
from visiontrain.display.errors import error_lines
from visiontrain.errors import RunFailedError
from visiontrain.session import Session

TRAIN = ("train", "--model", "count_small")


def test_a_training_shows_what_was_chosen_and_how_it_went(counting, shapes):
    done = counting(*TRAIN, shapes, "--name", "first")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    run = Session().run("first")
    assert run.record.licence == "Apache-2.0"
    shown = done.stderr
    for text in (
        "model         count_small, pretrained (v1)",
        f"framework     counter (visiontrain-counter {run.record.plugin_version}, Apache-2.0)",
        "(locked), Python",
        "task          classify",
        f"data          {shapes}: train 12, val 6",
        "device        auto",
        "epoch 1/2  train_loss 0.3333  accuracy 0.6667",
        "epoch 2/2  train_loss 0.1667  accuracy 0.8333",
        "Completed after",
        f"run folder    {run.run_dir}",
        f"report        {run.run_dir / 'report.html'}",
        f"  visiontrain runs show {run.run_id}",
        f"  visiontrain resume {run.run_id} --epochs 7",
    ):
        assert text in shown
    assert "\x1b" not in shown


def test_what_to_type_next_works(counting, shapes):
    counting(*TRAIN, shapes)
    run = Session().run()
    done = counting("resume", run.run_id, "--epochs", "7")
    assert done.exit_code == 0, done.output
    assert "Resumed from checkpoints/last.json, with 2 epochs done." in done.stderr
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5, 6, 7]
    assert counting("runs", "show", run.run_id).exit_code == 0


def test_json_is_every_event_and_a_result(counting, shapes):
    done = counting(*TRAIN, shapes, "--json", "--epochs", "1")
    assert done.exit_code == 0, done.output
    *events, result = lines_of(done.stdout)
    run = Session().run()
    kept = lines_of((run.run_dir / "events.jsonl").read_text(encoding="utf-8"))
    assert [event for event in events if event["type"] != "progress"] == kept
    assert {"type", "status", "run_id", "run_dir", "framework", "task", "model", "metrics", "checkpoint"} <= set(result)
    assert (result["type"], result["status"], result["framework"]) == ("result", "completed", "counter")
    assert result["metrics"] == {"accuracy": pytest.approx(2 / 3)}
    assert result["checkpoint"] == str(run.run_dir / "checkpoints/last.json")
    assert "Completed after" in done.stderr


def test_a_failed_run_says_why_and_how_to_go_on(counting, shapes):
    done = counting(*TRAIN, shapes, "--set", "fail_at=5", "--json")
    assert done.exit_code == 1
    result = lines_of(done.stdout)[-1]
    assert result["status"] == "failed"
    assert result["error"]["type"] == "RunFailedError"
    assert result["error"]["message"] == "ValueError: step 5 failed"
    assert result["error"]["traceback"].startswith("Traceback (most recent call last):")
    assert "Error: ValueError: step 5 failed" in done.stderr
    assert done.stderr.splitlines()[-1] == f"Go on from its last checkpoint: visiontrain resume {result['run_id']}"
    assert "cli/training.py" not in done.stderr  # no traceback of ours


def test_an_error_of_a_run_is_whole_in_json_and_on_the_screen():
    error = RunFailedError(
        "ValueError: m", instruction="Do this.", remote_traceback="Traceback...", log_tail="last words"
    )
    assert result(None, error)["error"] == {
        "type": "RunFailedError",
        "message": "ValueError: m",
        "instruction": "Do this.",
        "traceback": "Traceback...",
        "log_tail": "last words",
    }
    assert [line.plain for line in error_lines(error)] == [
        "Error: ValueError: m",
        "Traceback...",
        "Last lines of the worker's log:",
        "last words",
        "Do this.",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "pause=soon"), "Error: pause: must be of type float, not 'soon'"),
        (("--set", "pauze=1"), "Did you mean pause?"),
        (("--set", "pause"), "Error: set: 'pause' is not of the form key=value"),
        (("--set", "pause=1", "--set", "pause=2"), "Error: set: pause is given twice"),
        (("--set", "epochs=1", "--epochs", "2"), "Error: epochs: given twice"),
        (("--epochs", "0"), "Error: epochs: "),
        (("--device", "gpu"), "Error: device: must be auto, cpu, cuda, cuda:N or mps, not 'gpu'"),
        (("--framework", "tim"), "Error: framework: no installed plugin adds 'tim'"),
        (("--weights", "missing.pt"), "Error: weights: there is no file"),
        (("--config", "missing.yaml"), "Error: config: "),
        (("--scratch", "--pretrained"), "Give one of --pretrained, --scratch and --weights"),
        (("--epochs", "many"), "Invalid value for '--epochs'"),
        (("--model", "count_smal"), "Did you mean count_small"),
    ],
)
def test_bad_input_is_exit_code_2_and_starts_nothing(counting, home, shapes, arguments, message):
    done = counting(*TRAIN, shapes, *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stdout == ""
    assert not (home / "runs").exists()


def test_json_of_a_refused_request_is_a_result_as_well(counting, shapes):
    done = counting(*TRAIN, shapes / "missing", "--json")
    assert done.exit_code == 2
    (result,) = lines_of(done.stdout)
    assert (result["type"], result["status"], result["run_id"]) == ("result", "failed", None)
    assert result["error"]["type"] == "DatasetError"


def test_data_and_model_are_needed(counting, shapes):
    for arguments, field in ((("train", shapes), "model"), (TRAIN, "data")):
        done = counting(*arguments)
        assert done.exit_code == 2
        assert f"Error: {field}: is needed" in done.stderr


def test_settings_come_from_a_file_and_what_is_typed_wins(counting, shapes, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(
        f"data: {shapes}\nmodel: count_small\nepochs: 3\nlr: 1e-2\nsteps: 4\nname: null\noptions:\n  fail_at: 0\n",
        encoding="utf-8",
    )
    done = counting("train", "--config", config, "--epochs", "1", "--set", "steps=2", "--scratch")
    assert done.exit_code == 0, done.output
    spec = Session().run().record.spec
    assert (spec["epochs"], spec["learning_rate"], spec["weights"]) == (1, 0.01, "scratch")
    assert spec["options"]["steps"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a\n- b\n", "is not a mapping of names to values"),
        ("a: [\n", "is not valid YAML"),
        ("1: 2\n", "is not a mapping of names to values"),
        ("options: 3\n", "is not a mapping of names to values"),
        ("lr: 1\nlearning_rate: 2\n", "gives learning_rate twice"),
        ("", "is not a mapping of names to values"),
        ("epochs: 3\n", "model: is needed"),
        ("model: count_small\nepoch: 3\n", "Did you mean epochs?"),
        ("model: count_small\nsteps: [1]\n", "steps: must be true, false, a number or a text"),
    ],
)
def test_a_bad_file_is_named(counting, shapes, tmp_path, content, message):
    config = tmp_path / "run.yaml"
    config.write_text(content, encoding="utf-8")
    done = counting("train", shapes, "--config", config)
    assert done.exit_code == 2, done.output
    assert message in done.stderr


def test_a_detached_run_goes_on_by_itself(counting, shapes):
    done = counting(*TRAIN, shapes, "--detach", "--set", "pause=0.05")
    assert done.exit_code == 0, done.output
    run_id = done.stdout.strip()
    assert f"visiontrain runs follow {run_id}" in done.stderr
    followed = counting("runs", "follow", run_id)
    assert followed.exit_code == 0, followed.output
    assert "epoch 2/2" in followed.stderr
    assert Session().run(run_id).status == "completed"


def test_json_of_a_detached_run_is_a_result_that_says_running(counting, shapes):
    done = counting(*TRAIN, shapes, "--detach", "--json", "--set", "pause=0.2")
    (result,) = lines_of(done.stdout)
    assert result["status"] in ("pending", "running")
    counting("stop", result["run_id"])


def test_stop_waits_for_the_end_and_the_one_who_trains_is_told(start, counting, shapes):
    training = start(*TRAIN, shapes, "--set", "pause=0.1", "--epochs", "1000", "--json")
    run_id = lines_of(training.stdout.readline())[0]["run_id"]
    done = counting("stop", run_id)
    assert done.exit_code == 0, done.output
    assert Session().run(run_id).status == "stopped"
    assert f"visiontrain resume {run_id}" in done.stderr
    stdout, stderr = training.communicate()
    assert training.returncode == 1
    assert lines_of(stdout)[-1]["status"] == "stopped"
    assert "asked to stop" in stderr
    again = counting("stop", run_id)
    assert again.exit_code == 0
    assert "is not running: it is stopped" in again.stderr


def test_stop_now_does_not_wait_for_a_safe_point(start, counting, shapes):
    training = start(*TRAIN, shapes, "--set", "pause=600", "--json")
    run_id = lines_of(training.stdout.readline())[0]["run_id"]
    _wait_for(training, "log")
    done = counting("stop", run_id, "--now")
    assert done.exit_code == 0, done.output
    record = Session().run(run_id).record
    assert record.status == "stopped"
    assert "asked to end at once" in record.reason
    assert "before its first checkpoint: resuming it begins anew" in done.stderr.replace("\n", " ")
    training.communicate()
    assert training.returncode == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_says_how_to_go_on(start, counting, shapes, number, code):
    training = start(*TRAIN, shapes, "--set", "pause=0.05", "--epochs", "1000", "--json")
    run_id = lines_of(training.stdout.readline())[0]["run_id"]
    _wait_for(training, "progress")
    training.send_signal(number)
    stdout, stderr = training.communicate()
    assert training.returncode == code, stderr
    assert lines_of(stdout)[-1]["status"] == "stopped"
    assert f"  visiontrain resume {run_id}" in stderr.splitlines()
    resumed = counting("resume", run_id, "--epochs", "1001", "--detach")
    assert resumed.exit_code == 0, resumed.output
    counting("stop", run_id)


def test_a_second_signal_ends_a_run_that_does_not_stop(start, shapes):
    training = start(*TRAIN, shapes, "--set", "pause=600", "--json")
    run_id = lines_of(training.stdout.readline())[0]["run_id"]
    _wait_for(training, "log")
    training.send_signal(signal.SIGINT)
    for line in training.stderr:
        if line.startswith("Stopping"):
            break
    training.send_signal(signal.SIGINT)
    stdout, _ = training.communicate()
    assert training.returncode == 130
    result = lines_of(stdout)[-1]
    assert (result["run_id"], result["status"]) == (run_id, "stopped")


def test_a_signal_before_the_start_starts_nothing(start, home, shapes, monkeypatch):
    # A build that waits for its lock: another process holds it.
    folder = home / "environments" / "counter"
    folder.mkdir(parents=True)
    from visiontrain.environment.locking import exclusive

    with exclusive(folder / ".lock"):
        training = start(*TRAIN, shapes, "--json")
        for line in training.stderr:
            if "Waiting for" in line:
                break
        training.send_signal(signal.SIGINT)
        stdout, stderr = training.communicate()
    assert training.returncode == 130
    assert "Interrupted: nothing was started." in stderr
    (result,) = lines_of(stdout)
    assert (result["status"], result["run_id"]) == ("stopped", None)
    assert not (home / "runs").exists()


def test_a_reader_that_goes_away_stops_the_run_silently(start, shapes):
    training = start(*TRAIN, shapes, "--set", "pause=0.05", "--epochs", "1000", "--json")
    run_id = lines_of(training.stdout.readline())[0]["run_id"]
    training.stdout.close()
    stderr = training.stderr.read()
    assert training.wait() == 141
    assert "BrokenPipe" not in stderr
    assert "Traceback" not in stderr
    assert Session().run(run_id).status == "stopped"


def _wait_for(process: subprocess.Popen, kind: str) -> None:
    for line in process.stdout:
        if lines_of(line)[0]["type"] == kind:
            return
    raise AssertionError(f"no {kind} event; {os.fspath(process.args[0])} ended with {process.wait()}")
