"""What a disk's refusal, or a person, has left of a run: every command says what is the matter, and harms no other."""

from __future__ import annotations

import json
import shutil

import pytest

from visiontrain.supervisor.journal import RESERVE_FILE

COMMANDS = [("runs",), ("runs", "--json"), ("runs", "show"), ("runs", "show", "--json"), ("runs", "follow")]


def edit(**fields):
    """Changes the record."""

    def change(run_dir):
        record = json.loads((run_dir / "run.json").read_bytes())
        (run_dir / "run.json").write_text(json.dumps({**record, **fields}), encoding="utf-8")

    return change


def cut_events(run_dir):
    data = (run_dir / "events.jsonl").read_bytes()
    (run_dir / "events.jsonl").write_bytes(data[: len(data) * 2 // 3])


def leave_temporary_files(run_dir):
    (run_dir / ".run.json.123-456.tmp").write_bytes(b'{"run_id":')
    (run_dir / RESERVE_FILE).write_bytes(b"")
    edit(status="running", supervisor_pid=1)(run_dir)


def as_folder(name):
    def change(run_dir):
        (run_dir / name).unlink()
        (run_dir / name).mkdir()

    return change


#: What is left, and whether the run can be gone on with.
LEFTOVERS = {
    "killed while it wrote": (leave_temporary_files, True),
    "killed before it wrote a word": (edit(status="pending", last=None, best=None, worker=None), True),
    "events cut short": (cut_events, True),
    "no events": (lambda run_dir: (run_dir / "events.jsonl").unlink(), True),
    "no lock": (lambda run_dir: (run_dir / "lock").unlink(), True),
    "no log": (lambda run_dir: (run_dir / "worker.log").unlink(), True),
    "no checkpoints": (lambda run_dir: shutil.rmtree(run_dir / "checkpoints"), False),
    "half a record": (lambda run_dir: (run_dir / "run.json").write_bytes(b'{"run_id":"x","ki'), False),
    "an empty record": (lambda run_dir: (run_dir / "run.json").write_bytes(b""), False),
    "no record": (lambda run_dir: (run_dir / "run.json").unlink(), False),
    "events are a folder": (as_folder("events.jsonl"), False),
    "nothing": (shutil.rmtree, False),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the home is kept that all tests here begin with."""
    return tmp_path_factory.mktemp("kept") / "home"


@pytest.fixture
def runs(counting, shapes, home, kept):
    """The ids of a run that stopped in the middle, and of another one."""
    if not kept.exists():
        for name in ("other", "mine"):
            done = counting("train", shapes, "--model", "count_small", "--name", name, "--epochs", 2)
            assert done.exit_code == 0, done.output
        shutil.copytree(home, kept, symlinks=True)
    else:
        shutil.copytree(kept, home, symlinks=True)
    found = {json.loads((path / "run.json").read_bytes())["name"]: path for path in (home / "runs").iterdir()}
    return found["mine"], found["other"]


@pytest.mark.parametrize(("change", "goes_on"), LEFTOVERS.values(), ids=LEFTOVERS.keys())
def test_every_command_reads_what_is_left(counting, runs, change, goes_on):
    mine, other = runs
    change(mine)
    for command in COMMANDS:
        arguments = command if len(command) == 1 or command[1].startswith("-") else (*command[:2], mine.name)
        done = counting(*arguments, *command[2:])
        assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exception)
        assert done.exit_code in (0, 1, 2), (command, done.output)
        assert done.exit_code == 0 or "Error:" in done.stderr, (command, done.output)
    assert other.name in counting("runs").stdout
    resumed = counting("resume", mine.name, "--epochs", 3)
    assert resumed.exception is None or isinstance(resumed.exception, SystemExit), resumed.exception
    assert (resumed.exit_code == 0) == goes_on, resumed.output
    if goes_on:
        shown = json.loads(counting("runs", "show", mine.name, "--json").stdout)
        assert shown["status"] == "completed"
        epochs = [row["epoch"] for row in shown["history"]]
        assert sorted(set(epochs)) == epochs
        assert epochs[-1] == 3
        assert not list(mine.glob(".*"))
    else:
        assert "Error:" in resumed.stderr
