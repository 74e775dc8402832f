"""A training that reports 100,000 points: tracked by MLflow, against the same one with tracking off.

The worker is this interpreter with a trainer that computes for about 0.5 ms and reports two points, 50,000 times. Its
time is its own, from the first point to the last, while processes beside it start MLflow and send points to its SQLite
store. Afterwards all of them must be there, once. Runs with and without come in pairs; the median of their ratios
counts.

Run with the host's interpreter, on an idle machine: ``python benchmarks/tracking.py [ROUNDS]``. A round takes about a
minute and a half.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import finish, paired

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

#: How much longer a training may take that is tracked.
LIMIT = 1.02

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
            sum(range(30_000))
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
        waited = time.perf_counter() - begin
        while is_running(run_id):  # what MLflow's end takes must not hit the next run
            time.sleep(0.1)
        state = read_state(run_dir)
        assert state is not None, run_dir
        assert is_complete(run_dir, state), state
        print(f"the last point was in MLflow {waited:.1f} s after the run's end")
    took = next(float(event.message) for event in read_events(run_dir / EVENTS) if isinstance(event, LogEvent))
    print(f"{'tracked' if tracked else 'not tracked'}: {took:.2f} s", flush=True)
    return took


def is_running(run_id: str) -> bool:
    """Whether a process is there whose command line names the run."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if run_id.encode() in path.read_bytes():
                return True
    return False


def main() -> None:
    """Print the ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    environments = Session().build_environment("mlflow").path.parents[1]
    with tempfile.TemporaryDirectory(prefix="visiontrain-benchmark-") as name:
        session = Session(Path(name) / "home")
        session.home.runs.mkdir(parents=True)
        session.home.environments.symlink_to(environments)
        links = Path(name) / "links"
        (links / "reporting").mkdir(parents=True)
        (links / "reporting" / "__init__.py").write_text(TRAINER)
        (links / "visiontrain").symlink_to(package_folder("visiontrain"))
        ratios = paired(
            lambda: run(session, links, tracked=True), lambda: run(session, links, tracked=False), rounds=rounds
        )
        database = session.home.tracking / "mlflow" / "mlflow.db"
        count = int(subprocess.check_output([sys.executable, "-c", COUNT, str(database)]))
        expected = (rounds + 1) * 2 * EVENTS_A_RUN
        print(f"{count:,} points are in MLflow (of {expected:,})")
        ratio = statistics.median(ratios)
        print(
            "a training that is tracked against one that is not:", ", ".join(f"{each:.3f}" for each in sorted(ratios))
        )
        print(f"median ratio {ratio:.3f} (limit {LIMIT:g}) {'ok' if ratio <= LIMIT else 'TOO SLOW'}")
        finish([ratio <= LIMIT, count == expected])


if __name__ == "__main__":
    main()
