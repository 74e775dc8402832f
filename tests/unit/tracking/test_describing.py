"""What a tracker is told of a run beside its numbers."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest
from visiontrain_harness.runs import record

from visiontrain.protocol.messages import ErrorInfo
from visiontrain.tracking.describing import milliseconds, params_of, source_tags, tags_of, texts_of

SPEC = {
    "data": "/d",
    "epochs": 3,
    "name": "n",
    "seed": 5,
    "learning_rate": None,
    "tracking": "http://x",
    "skip_unreadable": False,
    "options": {"mixup": 0.2},
}
RECORD = replace(record("r", status="failed"), spec=SPEC, error=ErrorInfo(0, "out of memory", "MemoryError"))


def test_parameters_are_flat_and_say_how_not_where():
    assert params_of(RECORD) == {
        "framework": "defects",
        "task": "classify",
        "model": "defect",
        "epochs": "3",
        "seed": "5",
        "skip_unreadable": "false",
        "mixup": "0.2",
    }


def test_tags_say_what_it_ran_on_and_how_it_stands():
    tags = tags_of(RECORD, "/runs/r", {"git.commit": "abc"})
    assert tags["data.fingerprint"] == "0" * 64
    assert tags["error"] == "MemoryError: out of memory"
    assert (tags["git.commit"], tags["status"], tags["seed"]) == ("abc", "failed", "5")


def test_the_class_map_is_a_file():
    assert json.loads(texts_of(RECORD)["class_map.json"]) == {"0": "a"}


def test_times_are_in_milliseconds():
    assert milliseconds("1970-01-01T00:00:01.250+00:00") == 1250
    assert milliseconds(None) is None


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def git(*words):
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", *who, *words], check=True, capture_output=True)


def test_without_a_repository_nothing_is_said_of_git(repository):
    assert not [name for name in source_tags() if name.startswith("git")]
    assert source_tags()["user"]


def test_commit_branch_and_changes_are_told(repository):
    git("init", "--initial-branch", "work")
    (repository / "a.txt").write_text("1", encoding="utf-8")
    git("add", ".")
    git("commit", "-m", "first")
    tags = source_tags()
    assert (len(tags["git.commit"]), tags["git.branch"], tags["git.dirty"]) == (40, "work", "false")
    (repository / "a.txt").write_text("2", encoding="utf-8")
    assert source_tags()["git.dirty"] == "true"
