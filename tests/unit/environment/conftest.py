"""Definitions in temporary folders, and a uv that records what it is asked for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.store import EnvironmentStore
from visiontrain.environment.uv import Uv

HASH = "--hash=sha256:" + "0" * 64

FAKE_UV = """\
#!{python} -I
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
arguments = sys.argv[1:]
options = dict(item[2:].split("=", 1) for item in arguments if item.startswith("--") and "=" in item)
call = {{"arguments": arguments, "variables": dict(os.environ), "cwd": os.getcwd()}}
if "constraints" in options:
    call["constraints"] = Path(options["constraints"]).read_text()
with open(here / "calls.jsonl", "a") as file:
    file.write(json.dumps(call) + "\\n")
script = json.loads((here / "script.json").read_text()).get(" ".join(arguments[:2]).removesuffix(" --no-project"), {{}})
sys.stderr.write(script.get("stderr", ""))
if script.get("code"):
    sys.exit(script["code"])
if arguments[0] == "venv":
    bin = Path(arguments[-1]) / "bin"
    bin.mkdir(parents=True)
    (bin / "python").symlink_to({python!r})
if arguments[:2] == ["pip", "compile"]:
    Path(options["output-file"]).write_text(script.get("lock", ""))
sys.stdout.write(script.get("stdout", ""))
"""


class FakeUv(Uv):
    """A script instead of uv: records its calls, answers as it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "uv"
        path.write_text(FAKE_UV.format(python=sys.executable))
        path.chmod(0o755)
        (folder / "script.json").write_text("{}")
        super().__init__(path)

    def answer(self, command: str, **answer) -> None:
        script = json.loads((self.folder / "script.json").read_text())
        script[command] = answer
        (self.folder / "script.json").write_text(json.dumps(script))

    @property
    def calls(self) -> list[dict]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def commands(self) -> list[str]:
        return [" ".join(call["arguments"][:2]) for call in self.calls]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in list(os.environ):
        if name.startswith("UV_") or name == "VISIONTRAIN_TORCH_BACKEND":
            monkeypatch.delenv(name)


@pytest.fixture
def fake_uv(tmp_path):
    folder = tmp_path / "fake-uv"
    folder.mkdir()
    return FakeUv(folder)


@pytest.fixture
def write_definition(tmp_path):
    """Writes a definition's folder and returns it; keywords replace lines of environment.toml."""

    def write(*, lock: str | None = "", folder: str = "definition", **fields) -> Path:
        values = {"name": "tiny", "requires-python": ">=3.10", "requirements": [], "imports": ["json"]}
        values.update({name.replace("_", "-"): value for name, value in fields.items()})
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        (path / "environment.toml").write_text("".join(f"{key} = {json.dumps(item)}\n" for key, item in values.items()))
        if lock is not None:
            (path / "requirements.lock").write_text(lock)
        return path

    return write


@pytest.fixture
def definition(write_definition):
    """No requirements; proves its health by importing json."""
    return EnvironmentDefinition.load(write_definition())


@pytest.fixture
def torch_definition(write_definition):
    lock = "".join(
        f"{pin} {HASH}\n"
        for pin in ("torch==2.15.0", "numpy==2.5.5 ; python_version >= '3.8'", "nvidia-cublas==13.4", "triton==3.9.0")
    )
    return EnvironmentDefinition.load(write_definition(requirements=["torch>=2.14", "numpy"], lock=lock))


@pytest.fixture
def store(tmp_path, fake_uv):
    return EnvironmentStore(tmp_path / "environments", uv=fake_uv)
