import json
import subprocess
import sys

import pytest
from visiontrain_harness.json_lines import lines_of

from visiontrain.errors import PluginError
from visiontrain.plugin.discovery import Plugin
from visiontrain.session import Session


@pytest.fixture
def trained(counting, shapes):
    done = counting("train", shapes, "--model", "count_small", "--name", "mine")
    assert done.exit_code == 0, done.output
    return Session().run("mine")


def test_no_runs_yet(counting):
    done = counting("runs")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "visiontrain train DATA --model NAME" in done.stderr
    assert counting("runs", "show").exit_code == 2


@pytest.mark.parametrize("command", [("runs",), ("runs", "list")])
def test_runs_are_listed(counting, trained, command):
    header, row = counting(*command).stdout.splitlines()
    assert header.split() == ["RUN", "KIND", "STATUS", "MODEL", "BEST", "DATA", "NAME"]
    assert row.split()[:6] == [trained.run_id, "train", "completed", "count_small", "accuracy", "0.8333"]
    (listed,) = lines_of(counting(*command, "--json").stdout)
    assert (listed["run_id"], listed["name"], listed["status"]) == (trained.run_id, "mine", "completed")


def test_a_record_that_can_not_be_read_hides_no_other(counting, trained, home):
    broken = home / "runs" / "20990101-000000-aaaa"
    broken.mkdir()
    (broken / "run.json").write_text("{", encoding="ascii")
    done = counting("runs")
    assert done.exit_code == 0
    assert trained.run_id in done.stdout
    assert "20990101-000000-aaaa can't be read" in done.stderr


@pytest.mark.parametrize("reference", [(), ("last",), ("mine",)])
def test_show_tells_everything(counting, trained, reference, shapes):
    done = counting("runs", "show", *reference)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    for text in (
        f"run           {trained.run_id} (mine)",
        "status        completed",
        "framework     counter (plugin",
        "environment   counter@",
        "versions      counter 1.0, python",
        f"data          {shapes} (class-folders): train 12, val 6; 6 classes",
        "asked for     epochs=2, batch_size=2, device=auto, seed=0",
        "options       fail_at=0, pause=0.0, steps=3",
        f"last          {trained.last_checkpoint} (2 epochs, step 6)",
        f"log           {trained.run_dir / 'worker.log'}",
        f"report        {trained.run_dir / 'report.html'}",
        "accuracy              0.8333",
        "epoch  step  train_loss  accuracy",
        "    2     6      0.1667    0.8333",
        f"visiontrain resume {trained.run_id} --epochs 7",
    ):
        assert text in done.stdout


def test_a_run_s_page_is_written_and_named(counting, trained):
    page = trained.run_dir / "report.html"
    page.unlink()
    done = counting("runs", "report", "mine")
    assert (done.exit_code, done.stdout.strip()) == (0, str(page))
    assert "0.8333" in page.read_text(encoding="utf-8")


def test_a_run_s_page_is_opened_where_that_is_asked_for(counting, trained, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert counting("runs", "report").exit_code == 0
    assert opened == []
    assert counting("runs", "report", "--open").exit_code == 0
    assert opened == [(trained.run_dir / "report.html").as_uri()]


def test_show_as_json_has_the_record_and_the_history(counting, trained):
    (shown,) = lines_of(counting("runs", "show", "--json").stdout)
    assert [row["epoch"] for row in shown["history"]] == [1, 2]
    assert shown["history"][1]["metrics"] == {"train_loss": pytest.approx(1 / 6), "accuracy": pytest.approx(5 / 6)}
    assert shown["record"]["environment"]["name"] == "counter"


def test_what_is_not_a_number_is_null_and_named(counting, trained):
    events = trained.run_dir / "events.jsonl"
    text = events.read_text(encoding="utf-8").replace('"train_loss":0.16666666666666666', '"train_loss":null')
    assert "null" in text
    events.write_text(text.replace('"non_finite":{}', '"non_finite":{"train_loss":"Infinity"}'), encoding="utf-8")
    (shown,) = lines_of(counting("runs", "show", "--json").stdout)
    assert shown["history"][1]["metrics"]["train_loss"] is None
    assert shown["history"][1]["non_finite"] == {"train_loss": "Infinity"}
    assert "inf" in counting("runs", "show").stdout


def test_following_a_run_that_is_over_shows_it_and_ends_like_it(counting, trained):
    done = counting("runs", "follow")
    assert done.exit_code == 0
    assert "epoch 2/2" in done.stderr
    *events, result = lines_of(counting("runs", "follow", "--json").stdout)
    assert result["status"] == "completed"
    assert events[-1]["type"] == "status"


def test_following_a_failed_run_is_exit_code_1(counting, shapes):
    counting("train", shapes, "--model", "count_small", "--set", "fail_at=1")
    done = counting("runs", "follow")
    assert done.exit_code == 1
    assert "ValueError: step 1 failed" in done.stderr


def test_an_unknown_run(counting, trained):
    done = counting("runs", "show", "nothing")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == ["Error: no run answers to 'nothing'", "See them: visiontrain runs"]


def test_models_are_names_when_piped(counting, trained):
    assert counting("models", "--framework", "counter").stdout.split() == ["count_small", "count_large"]
    assert counting("models", "*_s*", "--framework", "counter").stdout.split() == ["count_small"]
    assert lines_of(counting("models", "count_small", "--json").stdout) == [
        {"name": "count_small", "framework": "counter", "tasks": ["classify"], "pretrained": ["v1"]}
    ]


def test_a_pattern_that_nothing_matches_has_near_names(counting, trained):
    done = counting("models", "count_smal")
    assert done.exit_code == 2
    assert "Did you mean count_small" in done.stderr


def test_models_before_the_environment_is_built(counting):
    done = counting("models", "--framework", "counter")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "Build it: visiontrain env build counter"


@pytest.mark.parametrize("built", [True, False])
def test_the_options_of_a_model(counting, shapes, built):
    if built:
        counting("env", "build", "counter")
    done = counting("models", "count_small", "--options")
    assert done.exit_code == 0, done.output
    assert "  steps  (int: at least 1; default: 3)\n      Steps an epoch" in done.stdout
    listed = lines_of(counting("models", "count_small", "--options", "--json").stdout)
    assert [option["name"] for option in listed] == ["steps", "pause", "fail_at"]


def test_plugins(counting, monkeypatch):
    broken = Plugin(name="odd", distribution="visiontrain-odd", version="2", error="ImportError: no\nReinstall it.")
    found = (*Session().plugins(), broken)
    monkeypatch.setattr("visiontrain.plugin.discovery.discover", lambda: found)
    done = counting("plugins")
    assert done.exit_code == 0
    assert "framework    counter: Nothing is trained" in done.stdout
    assert "environment  not built yet: visiontrain env build counter" in done.stdout
    assert "odd  (visiontrain-odd 2)\n  BROKEN: ImportError: no\n  Reinstall it.\n" in done.stdout
    listed = {plugin["name"]: plugin for plugin in lines_of(counting("plugins", "--json").stdout)}
    assert listed["odd"]["error"].startswith("ImportError")
    assert listed["counter"]["frameworks"][0]["environment_built"] is False


def test_an_error_of_visiontrain_that_is_not_about_input_is_exit_code_1(counting, monkeypatch):
    def refuse(*_):
        raise PluginError("odd", instruction="Upgrade it.")

    monkeypatch.setattr("visiontrain.session.Session.environments", refuse)
    done = counting("env")
    assert (done.exit_code, done.stderr) == (1, "Error: odd\nUpgrade it.\n")


def test_a_bug_is_not_hidden(counting, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("visiontrain.session.Session.environments", fail)
    assert isinstance(counting("env").exception, ZeroDivisionError)


def test_a_reader_that_goes_away_is_no_error(start):
    process = start("sample", "--json")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


def test_a_locale_without_the_characters_is_no_error(start, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    folder = tmp_path / "猫"
    process = start("sample", "shapes", folder)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert r"\u732b" in stderr


def test_json_of_every_listing_is_objects(counting, trained, shapes):
    for command in (("runs",), ("models",), ("plugins",), ("env",), ("dataset", "check", shapes), ("sample",)):
        done = counting(*command, "--json")
        assert done.exit_code == 0, done.output
        assert all(isinstance(json.loads(line), dict) for line in done.stdout.splitlines())
        assert done.stdout


def test_the_version_is_told(start):
    from visiontrain import __version__

    assert start("--version").communicate() == (f"visiontrain {__version__}\n", "")


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['visiontrain', '--help']\n"
        "from visiontrain.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'PIL', 'pluggy', 'yaml', 'rich', 'visiontrain.session'}\n"
        "print(*heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"
    assert "Usage:" in done.stdout
