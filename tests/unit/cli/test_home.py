"""A home that can't be used is said in a sentence, whatever the command."""

from __future__ import annotations

import pytest
from visiontrain_harness.json_lines import lines_of


@pytest.fixture(params=["file", "file/home"])
def unusable(request, counting, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    home = tmp_path / request.param
    monkeypatch.setenv("VISIONTRAIN_HOME", str(home))
    return home


@pytest.mark.parametrize(
    "command",
    [
        ("runs",),
        ("runs", "show"),
        ("runs", "follow"),
        ("resume", "last"),
        ("stop", "last"),
        ("env", "list"),
        ("env", "build", "counter"),
        ("env", "remove", "counter"),
        ("models",),
        ("dataset", "check", "DATA"),
        ("train", "DATA", "--model", "count_small"),
        ("train", "DATA", "--model", "count_small", "--framework", "counter"),
    ],
    ids=" ".join,
)
def test_every_command_says_so(counting, unusable, shapes, command):
    done = counting(*(shapes if word == "DATA" else word for word in command))
    assert done.exit_code == 2, done.output
    said = " ".join(done.stderr.split())
    assert said.startswith("Error: the folder ")
    assert "Not a directory" in said or "File exists" in said
    assert "VISIONTRAIN_HOME" in said


def test_a_result_ends_json(counting, unusable, shapes):
    done = counting("train", shapes, "--model", "count_small", "--json")
    assert done.exit_code == 2
    assert lines_of(done.stdout)[-1]["error"]["type"] == "InputError"


def test_one_that_can_not_be_written_to_can_still_be_read(counting, home, shapes, monkeypatch):
    home.mkdir()
    monkeypatch.setattr("os.access", lambda path, _mode: path != home)  # root may write anywhere
    assert counting("runs").exit_code == 0
    done = counting("dataset", "check", shapes)
    assert done.exit_code == 2
    assert "can't be written to" in done.stderr
