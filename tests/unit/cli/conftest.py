"""The command line over a framework that counts, in a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from visiontrain.cli.main import app
from visiontrain.datasets.samples import make_sample

#: What the console script does.
MAIN = "from visiontrain.cli.main import main; main()"


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A small dataset."""
    return make_sample("shapes", tmp_path_factory.mktemp("data"), images_per_class={"train": 2, "val": 1})


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TERMINAL_WIDTH", "_TYPER_FORCE_DISABLE_TERMINAL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(home):
    """Runs a command in this process."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def counting(installed, run):
    """The same, with the framework ``counter`` installed."""
    installed("counter")
    return run


@pytest.fixture
def start(installed, home):
    """Starts a command in a process of its own, with the framework ``counter`` installed."""
    installed("counter")
    started = []

    def begin(*arguments, **options):
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()
