"""A training that reports 100,000 points: tracked by MLflow, against the same one with tracking off.

The worker is this interpreter with a trainer that computes for 0.2 ms and reports two points, 50,000 times. Its time is
its own, from the first point to the last, while a process beside it sends the points to MLflow's SQLite store.
Afterwards all of them must be there, once.

Run with the host's interpreter, on an idle machine: ``python benchmarks/tracking.py [ROUNDS]``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import compare, finish, report

from visiontrain import Session
from visiontrain.protocol.events import LogEvent
from visiontrain.protocol.messages import TrainParams, Weights
from visiontrain.protocol.structure import unstructure
from visiontrain.rundir.directory import RunDirectories, is_being_worked_on
from visiontrain.rundir.events import EVENTS, read_events
from visiontrain.runners.command import WORKER_BOOTSTRAP
from visiontrain.runners.links import package_folder
from visiontrain.runners.supervised import start_supervisor
from visiontrain.runners.variables import worker_variables
from visiontrain.supervisor.launch import Launch, WorkerCommand
from visiontrain.supervisor.record import DataRecord, EnvironmentRecord, RunRecord
from visiontrain.tracking.follower import start_follower
from visiontrain.tracking.state import TrackingState, is_complete, is_followed, read_state

EVENTS_A_RUN = 50_000

TRAINER = """
import time
from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.trainer import Description


class Reporter:
    def describe(self):
        return Description(versions={})

    def models(self):
        return []

    def train(self, context):
        begin = time.perf_counter()
        for step in range(context.params.epochs):
            sum(range(12_000))
            context.metrics({"train_loss": 0.5, "learning_rate": 0.001}, step=step, epoch=1, scope="step")
        context.log(str(time.perf_counter() - begin))
        return TrainResult("completed", 1.0)
"""

COUNT = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print(database.execute("select count(*) from metrics where key like 'step/%'").fetchone()[0])
"""


def run(session: Session, links: Path, *, tracked: bool) -> float:
    """Seconds that the trainer took."""
    run_id, run_dir = RunDirectories(session.home.runs).create()
    record = RunRecord(
        run_id=run_id,
        kind="train",
        status="pending",
        created_at="2026-01-01T00:00:00.000+00:00",
        framework="reporting",
        task="classify",
        model="none",
        plugin_version="0",
        licence="Apache-2.0",
        spec={},
        data=DataRecord("", "", "", "", {}, ()),
        environment=EnvironmentRecord("", "", "", "", locked=False),
    )
    params = TrainParams(
        run_id, str(run_dir), "classify", "none", "", EVENTS_A_RUN, 1, None, None, Weights("scratch"), "cpu", 0
    )
    argv = (sys.executable, "-I", "-X", "utf8", "-c", WORKER_BOOTSTRAP, str(links))
    command = WorkerCommand(argv, worker_variables(), "reporting:Reporter")
    link = start_supervisor(Launch(str(run_dir), record, command, unstructure(params), params.device, detached=True))
    if tracked:
        start_follower(session.home, run_dir, TrackingState("mlflow", None, "benchmark"))
    while is_being_worked_on(run_dir):
        time.sleep(0.05)
    link.close()
    if tracked:
        begin = time.perf_counter()
        while is_followed(run_dir):
            time.sleep(0.1)
        state = read_state(run_dir)
        assert state is not None, run_dir
        assert is_complete(run_dir, state), state
        print(f"the last point was in MLflow {time.perf_counter() - begin:.1f} s after the run's end")
    return next(float(event.message) for event in read_events(run_dir / EVENTS) if isinstance(event, LogEvent))


def main() -> None:
    """Print the ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    environments = Session().build_environment("mlflow").path.parents[1]
    with tempfile.TemporaryDirectory(prefix="visiontrain-benchmark-") as name:
        session = Session(Path(name) / "home")
        session.home.runs.mkdir(parents=True)
        session.home.environments.symlink_to(environments)
        links = Path(name) / "links"
        (links / "reporting").mkdir(parents=True)
        (links / "reporting" / "__init__.py").write_text(TRAINER)
        (links / "visiontrain").symlink_to(package_folder("visiontrain"))
        ours, theirs = compare(
            lambda: run(session, links, tracked=True), lambda: run(session, links, tracked=False), rounds=rounds
        )
        database = session.home.tracking / "mlflow" / "mlflow.db"
        count = int(subprocess.check_output([sys.executable, "-c", COUNT, str(database)]))
        expected = (rounds + 1) * 2 * EVENTS_A_RUN
        print(f"{count:,} points are in MLflow (of {expected:,})")
        good = report("a trainer that is tracked", ours, theirs, limit=1.02, unit="s", scale=1)
        finish([good, count == expected])


if __name__ == "__main__":
    main()
