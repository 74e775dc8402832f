"""Runs that are tracked by MLflow: the framework `counter`, the real environment, the real server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from visiontrain_harness.processes import until

from visiontrain.session import Session
from visiontrain.tracking.state import is_complete, is_followed, read_state, write_state

#: Seconds that building nothing, starting MLflow's client and sending a few points may take on a busy machine.
LONG = 120.0

#: Prints what MLflow's own client finds: runs with parameters, tags, files, and every point of every metric.
READ = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
def files(run_id, path=None):
    for found in client.list_artifacts(run_id, path):
        yield from files(run_id, found.path) if found.is_dir else [found.path]
told = []
experiments = {each.experiment_id: each.name for each in client.search_experiments()}
for run in client.search_runs(list(experiments)):
    points = {key: [[m.step, repr(m.value), m.timestamp] for m in client.get_metric_history(run.info.run_id, key)]
              for key in run.data.metrics}
    told.append({"id": run.info.run_id, "name": run.info.run_name, "status": run.info.status, "points": points,
                 "experiment": experiments[run.info.experiment_id], "params": run.data.params, "tags": run.data.tags,
                 "files": sorted(files(run.info.run_id)), "ended": run.info.end_time})
print(json.dumps(told))
"""


class Tracked:
    """A home whose runs are tracked, and MLflow's own view of them."""

    def __init__(self, home, pictures, folder):
        self.home = home
        self.folder = folder
        self.use_environment("mlflow")
        self.session = Session(home)
        self.python = self.session._planner.store.resolve(self.session.definition("mlflow")).python
        self._pictures = pictures
        self._processes = []

    @property
    def store(self):
        return f"sqlite:///{self.home / 'tracking/mlflow/mlflow.db'}"

    def use_environment(self, name):
        """Have an environment that was built before, for all tests: what is tested is not that."""
        built = Path(os.environ["VISIONTRAIN_TEST_ENVIRONMENTS"]) / name
        assert built.is_dir(), f"build it first: visiontrain env build {name}"
        (self.home / "environments" / name).symlink_to(built)

    def start(self, **options):
        return self.session.start(self._pictures, model="count_small", **options)

    def train(self, **options):
        return self.session.train(self._pictures, model="count_small", progress=False, **options)

    def state(self, run):
        return read_state(run.run_dir)

    def until_sent(self, run):
        """Wait until all of a run was accepted, and the process that sent it has ended."""
        until(lambda: self._is_sent(run), f"the run was sent: {self.state(run)}\n{self.log(run)}", within=LONG)

    def until_let_go(self, run):
        until(lambda: not is_followed(run.run_dir), "nobody sends the run any more", within=LONG)

    def log(self, run):
        path = run.run_dir / "tracking.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def read(self, uri=None, **env):
        done = subprocess.run(
            [self.python, "-I", "-c", READ, uri or self.store],
            env={**clean(), **env},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return {run["tags"]["visiontrain.run_id"]: run for run in json.loads(done.stdout)}

    def serve(self, port):
        """A real MLflow server on that port, on a store of its own; gives its process."""
        return self.launch(
            *("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"),
            *("--artifacts-destination", (self.folder / "artifacts").as_uri()),
            port=port,
            path="/health",
        )

    def launch(self, *arguments, port, path, **env):
        """Start MLflow's own command, and wait until it answers on that port; gives its process."""
        log = self.folder / "server.log"
        command = [self.python, "-I", "-m", "mlflow", *arguments]
        # Beside other commands of the environment, which `mlflow models serve` starts by their names.
        path_variable = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        with log.open("ab") as file:
            process = subprocess.Popen(
                command, env={**clean(), **env, "PATH": path_variable}, stdout=file, stderr=file, start_new_session=True
            )
        self._processes.append(process)
        until(lambda: answers(port, path), f"the server answers: {log}", within=LONG)
        return process

    def kill(self, process):
        """As a power cut does it, with all that the server started."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end_follower(self, run):
        """Kill the process that sends the run, as the machine's end does."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            words = path.read_bytes().split(b"\0")
            if any(b"tracking.follower" in word for word in words) and any(
                run.run_id.encode() in word for word in words
            ):
                os.kill(int(path.parent.name), signal.SIGKILL)
        self.until_let_go(run)

    def set_state(self, run, **changes):
        write_state(run.run_dir, replace(self.state(run), **changes))

    def client(self, uri, code):
        """Do something with MLflow's own client."""
        program = f"from mlflow.tracking import MlflowClient\nclient = MlflowClient(tracking_uri={uri!r})\n{code}"
        subprocess.run([self.python, "-I", "-c", program], env=clean(), check=True)

    def close(self):
        for process in self._processes:
            if process.poll() is None:
                self.kill(process)

    def _is_sent(self, run):
        state = self.state(run)
        return state is not None and is_complete(run.run_dir, state) and not is_followed(run.run_dir)


def clean():
    """Variables for MLflow's own programs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def answers(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def tracked(installed, tmp_path, pictures, monkeypatch):
    installed("counter")
    monkeypatch.delenv("VISIONTRAIN_TRACKING")
    monkeypatch.setenv("VISIONTRAIN_TEST_ENVIRONMENTS", str(Path(os.environ["VISIONTRAIN_HOME"]) / "environments"))
    home = tmp_path / "home"
    (home / "environments").mkdir(parents=True)
    made = Tracked(home, pictures, tmp_path)
    yield made
    for run in made.session.runs():
        if run.status == "running":
            run.kill()
    made.close()
    made.session.close()
    assert "mlflow" not in sys.modules
