"""Events from a worker to the record: how many a second, and what each costs outside the worker.

The worker is this interpreter with a trainer that does nothing but report. CPU time outside the worker is the
supervisor's and the listener's, who reads every event. Then the same with a listener that takes a millisecond an
event: the worker must be done as fast.

Run with the host's interpreter: ``python benchmarks/events.py [EVENTS]``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from measuring import finish, report

from visiontrain.following import RunHandle
from visiontrain.handles import Run
from visiontrain.protocol.events import LogEvent
from visiontrain.protocol.messages import TrainParams, Weights
from visiontrain.protocol.structure import unstructure
from visiontrain.rundir.directory import RunDirectories, read_current_record
from visiontrain.runners.command import WORKER_BOOTSTRAP
from visiontrain.runners.links import package_folder
from visiontrain.runners.supervised import start_supervisor
from visiontrain.runners.variables import worker_variables
from visiontrain.supervisor.launch import Launch, WorkerCommand
from visiontrain.supervisor.record import DataRecord, EnvironmentRecord, RunRecord

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
            context.metrics({"train_loss": 0.5, "learning_rate": 0.001}, step=step, epoch=1, scope="step")
        context.log(str(time.perf_counter() - begin))
        return TrainResult("completed", 1.0)
"""


@dataclass(frozen=True)
class Measured:
    """Seconds that the worker reported for, and CPU seconds outside it."""

    worker: float
    outside: float


def run(folder: Path, count: int, *, pause: float) -> Measured:
    """One run of `count` events with a listener that pauses after each."""
    run_id, run_dir = RunDirectories(folder / "runs").create()
    argv = (sys.executable, "-I", "-X", "utf8", "-c", WORKER_BOOTSTRAP, str(folder / "links"))
    record = RunRecord(
        run_id=run_id,
        kind="train",
        status="pending",
        created_at="",
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
        run_id, str(run_dir), "classify", "none", "", count, 1, None, None, Weights("scratch"), "cpu", 0
    )
    before = time.process_time()
    command = WorkerCommand(argv, worker_variables(), "reporting:Reporter")
    link = start_supervisor(Launch(str(run_dir), record, command, unstructure(params), params.device))
    sampler = Sampler(run_dir)
    worker = 0.0
    for event in RunHandle(Run(run_dir, _never), link).events():
        if pause and not sampler.over.is_set():
            time.sleep(pause)
        if isinstance(event, LogEvent):
            worker = float(event.message)
    return Measured(worker, time.process_time() - before + sampler.result())


class Sampler(threading.Thread):
    """Reads the supervisor's CPU time until it has ended."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self._seconds = 0.0
        self._pid = read_current_record(run_dir).supervisor_pid
        self.start()

    def run(self) -> None:
        """Sample fifty times a second."""
        tick = os.sysconf("SC_CLK_TCK")
        while True:
            try:
                fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                self.over.set()
                return
            self._seconds = (int(fields[11]) + int(fields[12])) / tick
            time.sleep(0.02)

    def result(self) -> float:
        """CPU seconds of the supervisor."""
        self.join(30)
        return self._seconds


def _never(_run_id: str, _epochs: int | None, _progress: bool) -> Run:
    raise AssertionError("benchmarks resume nothing")


def main() -> None:
    """Print rate, cost and the slow listener's ratio."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory(prefix="visiontrain-benchmark-") as name:
        folder = Path(name)
        (folder / "links" / "reporting").mkdir(parents=True)
        (folder / "links" / "reporting" / "__init__.py").write_text(TRAINER)
        (folder / "links" / "visiontrain").symlink_to(package_folder("visiontrain"))
        run(folder, 1_000, pause=0)
        # In turns: what the machine does beside it hits both alike.
        pairs = [(run(folder, count, pause=0), run(folder, count, pause=0.001)) for _ in range(3)]
        measured = [quick for quick, _ in pairs]
        fast = min(measured, key=lambda m: m.worker)
        slow = min((paused for _, paused in pairs), key=lambda m: m.worker)
        rate = count / fast.worker
        cost = min(m.outside for m in measured) / count * 1e6
        print(f"{rate:,.0f} events a second from worker to record (at least 100,000)")
        print(f"{cost:.1f} us of CPU an event outside the worker (at most 10)")
        finish(
            [
                rate >= 100_000,
                cost <= 10,
                report("worker with a slow listener", slow.worker, fast.worker, limit=1.25, unit="s", scale=1),
            ]
        )


if __name__ == "__main__":
    main()
