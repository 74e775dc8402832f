import signal
import sys

import pytest
from typer.testing import CliRunner
from visiontrain_harness.json_lines import lines_of

from visiontrain.cli.main import app
from visiontrain.session import Session


@pytest.fixture
def built(counting):
    done = counting("env", "build", "counter")
    assert done.exit_code == 0, done.output
    (generation,) = Session().environments()
    return generation


def test_building_says_its_cost_and_the_end(counting):
    done = counting("env", "build", "counter")
    assert done.exit_code == 0, done.output
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("Building the environment counter: Python")
    assert "to download" in first
    assert last == "  Reading the names of its models"
    assert counting("models", "--framework", "counter").stdout.split() == ["count_small", "count_large"]


def test_what_is_built_is_listed(counting, built):
    done = counting("env")
    header, row = done.stdout.splitlines()
    assert header.split() == ["ENVIRONMENT", "PYTHON", "SIZE", "BUILT", "STATE"]
    assert row.startswith(f"counter@{built.id}  {built.python_version}")
    assert row.endswith("current")
    (listed,) = lines_of(counting("env", "list", "--json").stdout)
    assert (listed["name"], listed["generation"], listed["current"]) == ("counter", built.id, True)
    assert (listed["in_use"], listed["stale"], listed["locked"]) == (False, False, True)


def test_what_is_not_built_is_named(counting):
    done = counting("env")
    assert done.stdout == ""
    assert "counter is not built yet: visiontrain env build counter" in done.stderr


def test_an_environment_in_use_is_marked_and_not_removed(counting, built, shapes):
    counting("train", shapes, "--model", "count_small", "--detach", "--set", "pause=0.2", "--epochs", "1000")
    try:
        assert counting("env").stdout.splitlines()[1].endswith("current, in use")
        done = counting("env", "remove", "counter", "--yes")
        assert done.exit_code == 2
        assert "in use by a run" in done.stderr
    finally:
        counting("stop", "last")
    assert counting("env", "remove", f"counter@{built.id[:6]}", "--yes").stderr == f"Removed counter@{built.id}.\n"
    assert Session().environments() == []


def test_a_run_whose_record_can_not_be_read_hides_no_environment(counting, built):
    folder = Session().home.runs / "20260101-000000-0000"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{", encoding="utf-8")
    done = counting("env")
    assert done.exit_code == 0, done.output
    assert f"counter@{built.id}" in done.stdout


def test_one_whose_definition_moved_on_is_stale(counting, built, monkeypatch):
    from visiontrain.environment.generation import Fingerprint

    monkeypatch.setattr(Fingerprint, "is_stale", lambda *_, **__: True)
    assert counting("env").stdout.splitlines()[1].endswith("current, stale")


def test_nothing_is_removed_without_being_asked_for(counting, built):
    done = counting("env", "remove", "counter")
    assert done.exit_code == 2
    assert f"counter@{built.id}" in done.stderr
    assert "--yes" in done.stderr
    assert Session().environments() == [built]


def test_the_answer_decides(counting, built, monkeypatch):
    monkeypatch.setattr("visiontrain.cli.env._can_ask", lambda: True)
    refused = CliRunner().invoke(app, ["env", "remove", "counter"], input="n\n")
    assert refused.exit_code == 1
    assert Session().environments() == [built]
    assert CliRunner().invoke(app, ["env", "remove", "counter"], input="y\n").exit_code == 0
    assert Session().environments() == []


def test_python_prints_a_path_and_nothing_else(counting, built):
    for reference in ("counter", f"counter@{built.id[:5]}"):
        done = counting("env", "python", reference)
        assert (done.exit_code, done.stdout, done.stderr) == (0, f"{built.python}\n", "")


def test_python_of_what_is_not_built(counting):
    done = counting("env", "python", "counter")
    assert done.exit_code == 1
    assert done.stderr == "Error: the environment counter is not built\nBuild it: visiontrain env build counter\n"
    assert counting("env", "python", "nothing").exit_code == 2


def test_adopting_and_going_back(counting, built):
    done = counting("env", "adopt", "counter", sys.executable)
    assert done.exit_code == 0, done.output
    assert "it is the current one, and not locked" in done.stderr
    states = [row.split("  ")[-1].strip() for row in counting("env").stdout.splitlines()[1:]]
    assert states == ["current, pinned, adopted, not locked", "kept"]
    done = counting("env", "use", f"counter@{built.id[:6]}")
    assert done.stderr == f"counter@{built.id} is the current one now.\n"
    assert counting("env", "use", "counter").exit_code == 2


def test_adopting_what_is_no_python(counting, tmp_path):
    done = counting("env", "adopt", "counter", tmp_path)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")


def test_an_interrupted_build_says_so(start, home):
    from visiontrain.environment.locking import exclusive

    (home / "environments" / "counter").mkdir(parents=True)
    with exclusive(home / "environments" / "counter" / ".lock"):
        building = start("env", "build", "counter")
        assert "Waiting for" in building.stderr.readline()
        building.send_signal(signal.SIGINT)
        _, stderr = building.communicate()
    assert building.returncode == 130
    assert stderr.endswith("Interrupted: what was being built is not used.\n")
