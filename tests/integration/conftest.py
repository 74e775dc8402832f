"""Runs for tests: started without an environment, and with the framework `counter` in a real one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from PIL import Image
from visiontrain_harness import runs
from visiontrain_harness.processes import PATIENCE


@pytest.fixture
def start(tmp_path):
    """Starts runs of the trainers in `visiontrain_defects`; kills what a failed test leaves."""
    handles = []
    runs.bare_python()  # made here, before a test makes the disk full

    def start(trainer, **options):
        handle = runs.start(tmp_path, trainer, **options)
        handles.append(handle)
        return handle

    yield start
    for handle in handles:
        if handle.run.is_readable and handle.status == "running":
            handle.kill()
            for _ in handle.events(timeout=PATIENCE):
                pass


@pytest.fixture
def host():
    """Runs Python code as a host of its own; the code prints a line, which is given with the process."""
    processes = []

    def host(code, *arguments):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        env["VISIONTRAIN_TEST_BARE_PYTHON"] = str(runs.bare_python())
        command = [sys.executable, "-c", code, *map(str, arguments)]
        process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield host
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            stream.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A dataset of two classes with two images each in train and val."""
    root = tmp_path_factory.mktemp("pictures")
    for split in ("train", "val"):
        for label in ("cat", "dog"):
            for number in range(2):
                path = root / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), (len(split) * 20, ord(label[0]), number * 90)).save(path)
    return root


@pytest.fixture
def session(installed, tmp_path):
    """A session in a home of its own that knows the framework `counter`; its environment takes a moment to build."""
    from visiontrain.session import Session

    installed("counter")
    return Session(tmp_path / "home")
