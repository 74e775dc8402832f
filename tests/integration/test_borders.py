"""What lies around, and what the host's variables say, has no part in what is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from visiontrain_harness.processes import PATIENCE, until

from visiontrain.environment.uv import Uv
from visiontrain.protocol.events import LogEvent
from visiontrain.session import Session

#: Modules of the standard library, of frameworks and of ours, and files that Python or uv would read by themselves.
HOSTILE = (
    *("json", "typing", "types", "random", "signal", "selectors", "socket", "subprocess", "dataclasses", "enum"),
    *("torch", "numpy", "PIL", "timm", "pydantic", "typer", "rich", "yaml", "uv", "counter", "visiontrain_counter"),
    *("visiontrain", "sitecustomize", "usercustomize"),
)
CONFIGURATION = {
    "pyproject.toml": '[project]\nname = "x"\nversion = "1"\nrequires-python = "==2.7.*"\n[tool.uv]\nno-such = 1\n',
    "uv.toml": "no-such-setting = 1\n",
    ".python-version": "2.7\n",
    ".env": "VISIONTRAIN_HOME=/nowhere\n",
}

SECRETS = {
    **dict.fromkeys(("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "WANDB_API_KEY", "MY_PASSWORD"), "secret"),
    **dict.fromkeys(("PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONUSERBASE"), "/hostile"),
    **dict.fromkeys(("LD_PRELOAD", "LD_AUDIT", "PYTHONBREAKPOINT", "BASH_ENV", "ENV", "SSH_AUTH_SOCK"), ""),
    "PYTHONINSPECT": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONNOUSERSITE": "",
    "PIP_INDEX_URL": "x",
}


def lay_traps(folder, mark):
    """Fill a folder with files that leave a mark when one of them is run."""
    trap = f"open({str(mark)!r}, 'a').write(__file__ + '\\n')\nraise SystemExit('shadowed')\n"
    for name in HOSTILE:
        (folder / f"{name}.py").write_text(trap, encoding="utf-8")
        package = folder / name
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(trap, encoding="utf-8")
    for name, text in CONFIGURATION.items():
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def traps(tmp_path):
    """The file in which a trap would leave its mark, a working folder and a data folder full of them."""
    mark, folder, data = tmp_path / "mark", tmp_path / "here", tmp_path / "here" / "data"
    for split in ("train", "val"):
        for label in ("cat", "dog"):
            path = data / split / label / "0.png"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (16, 16), (len(split), ord(label[0]), 9)).save(path)
    lay_traps(folder, mark)
    for path in (data / "train" / "cat", data / "train" / "dog"):
        for name in ("json.py", "sitecustomize.py", "uv.toml"):
            (path / name).write_text("raise SystemExit('shadowed')\n", encoding="utf-8")
    return mark, folder, data


def test_the_command_runs_nothing_of_what_lies_around(installed, traps, tmp_path):
    installed("counter")
    mark, folder, data = traps
    command = Path(sys.executable).with_name("visiontrain")
    env = {**os.environ, "VISIONTRAIN_HOME": str(tmp_path / "home")}

    def run(*arguments, cwd=folder):
        done = subprocess.run(
            [command, *arguments], check=False, cwd=cwd, env=env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert "shadowed" not in done.stdout + done.stderr
        return done.stdout

    run("dataset", "check", "data")
    run("train", "data", "--model", "count_small", "--epochs", "1", "--name", "mine")
    (run_dir,) = (tmp_path / "home" / "runs").iterdir()
    lay_traps(run_dir, mark)
    run("resume", "mine", "--epochs", "2", cwd=run_dir)
    run("doctor", cwd=data)
    assert [row["epoch"] for row in json.loads(run("runs", "show", "mine", "--json", cwd=run_dir))["history"]] == [1, 2]
    assert not mark.exists(), mark.read_text()


def test_a_session_runs_nothing_of_what_its_variables_point_to(session, traps, monkeypatch):
    mark, folder, _ = traps
    monkeypatch.chdir(folder)
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONSTARTUP", "PYTHONUSERBASE"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PYTHONINSPECT", "1")
    monkeypatch.setenv("LD_PRELOAD", str(folder / "json.py"))
    assert session.check_dataset("data").splits == {"train": 2, "val": 2}
    run = session.train("data", model="count_small", progress=False, epochs=1)
    assert run.status == "completed"
    assert "shadowed" not in run.log
    assert not mark.exists(), mark.read_text()


def test_no_secret_reaches_a_worker_its_children_or_its_supervisor(start, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MY_SETTING", "passes")
    handle = start("looks_further:Trainer", passthrough=("MY_SET*",))
    (text,) = (event.message for event in handle.events(timeout=PATIENCE) if isinstance(event, LogEvent))
    seen, path = json.loads(text)
    ours = {"PYTHONNOUSERSITE"}  # set by us, to what keeps the user's packages out
    assert len(seen) == (6 if sys.platform == "linux" else 4)
    for who, variables in seen.items():
        assert not (SECRETS.keys() - ours) & variables.keys(), who
        if not who.startswith("above"):
            assert variables["PYTHONNOUSERSITE"] == variables["PYTHONSAFEPATH"] == "1"
            assert variables["MY_SETTING"] == "passes"
    if sys.version_info >= (3, 11):  # PYTHONSAFEPATH is not known before
        assert "" not in path
        assert str(handle.run_dir) not in path


def test_uv_gets_its_settings_and_no_secret(tmp_path, monkeypatch):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nexec /usr/bin/env\n", encoding="utf-8")
    uv.chmod(0o755)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UV_INDEX_STRATEGY", "first-index")
    monkeypatch.setenv("UV_PYTHON", "2.7")
    monkeypatch.setenv("UV_SYSTEM_PYTHON", "1")
    seen = dict(line.partition("=")[::2] for line in str(Uv(uv).cache_folder()).splitlines())
    assert not (SECRETS.keys() | {"UV_PYTHON", "UV_SYSTEM_PYTHON"}) & seen.keys()
    assert seen["UV_INDEX_STRATEGY"] == "first-index"


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process's variables can be read from outside")
def test_the_variables_that_the_person_names_pass_and_no_others(session, pictures, monkeypatch):
    for name, value in {**SECRETS, "MY_A": "1", "MINE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VISIONTRAIN_PASSTHROUGH", "HF_TOKEN, MY_?")
    both = Session(session.home.root, passthrough=["MINE"])
    handle = both.start(pictures, model="count_small", epochs=1000, steps=100, pause=0.01)
    record = until(lambda: handle.run.record.worker and handle.run.record, "the worker starts")
    seen = Path(f"/proc/{record.worker.pid}/environ").read_bytes().split(b"\0")
    supervisor = Path(f"/proc/{record.supervisor_pid}/environ").read_bytes()
    handle.kill()
    list(handle.events(timeout=PATIENCE))
    names = {line.partition(b"=")[0].decode() for line in seen}
    assert {"HF_TOKEN", "MY_A", "MINE"} <= names
    assert not names & (SECRETS.keys() - {"HF_TOKEN", "PYTHONNOUSERSITE"})
    # They are the worker's alone: not the supervisor's, and nothing on the disk.
    assert b"secret" not in supervisor
    for path in handle.run_dir.rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes(), path
