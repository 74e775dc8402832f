"""Hundreds of runs and a million events: what a host holds at the end is what it held at the beginning."""

from __future__ import annotations

import gc
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from visiontrain_harness import runs
from visiontrain_harness.processes import PATIENCE, until

from visiontrain.datasets.samples import make_sample
from visiontrain.protocol.events import MetricsEvent
from visiontrain.rundir.directory import read_current_record
from visiontrain.session import Session

#: Bytes that a process may grow by: pools of memory that Python keeps, not what each run would leave.
SLACK = 8 * 2**20

IN_A_ROW = int(os.environ.get("VISIONTRAIN_SOAK_RUNS", "300"))
AT_ONCE = 30
EVENTS = 1_000_000


@dataclass(frozen=True)
class Held:
    """What this process holds."""

    descriptors: int
    threads: int
    children: int
    memory: int  # bytes


def held() -> Held:
    gc.collect()
    process = psutil.Process()
    return Held(
        process.num_fds(), process.num_threads(), len(process.children(recursive=True)), process.memory_info().rss
    )


def processes_of(folder: Path) -> list[str]:
    """Processes that work below the folder: supervisors, guards and workers run in a run's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if folder in Path(process.cwd()).parents:
                found.append(f"{process.pid} {process.name()}")
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "shapes"
    make_sample("shapes", folder, image_format="ppm")
    return folder


@pytest.fixture(scope="module")
def session():
    return Session(max_runs_per_device=AT_ONCE)


def train(session, data, **options):
    return session.start(
        data, model="softmax_regression", epochs=1, batch_size=64, image_size=8, weights="scratch", **options
    )


def assert_flat(before, session):
    # The last supervisor may be between its last word and its end.
    until(lambda: not processes_of(session.home.runs), f"processes end: {processes_of(session.home.runs)}")
    after = held()
    assert (after.descriptors, after.threads, after.children) == (before.descriptors, before.threads, before.children)
    grown = after.memory - before.memory
    print(f"memory grew by {grown / 2**20:.1f} MiB from {before.memory / 2**20:.1f}")  # noqa: T201 - a figure to write down
    assert grown < SLACK


def test_runs_in_a_row(session, shapes):
    for _ in range(20):
        train(session, shapes).wait(timeout=PATIENCE)
    before = held()
    for _ in range(IN_A_ROW):
        handle = train(session, shapes)
        assert sum(isinstance(event, MetricsEvent) for event in handle.events(timeout=PATIENCE)) == 1
        assert handle.wait(timeout=PATIENCE).status == "completed"
    assert_flat(before, session)


def test_runs_at_once(session, shapes):
    def all_at_once():
        handles = [train(session, shapes) for _ in range(AT_ONCE)]
        ended = [handle.wait(timeout=10 * PATIENCE) for handle in handles]
        assert [run.status for run in ended] == ["completed"] * AT_ONCE
        assert len({run.run_id for run in ended}) == AT_ONCE
        assert all(len(run.history) == 1 for run in ended)

    all_at_once()
    before = held()
    all_at_once()
    assert_flat(before, session)


def test_a_million_events(tmp_path):
    begin = held()
    handle = runs.start(tmp_path, "floods:Trainer", threads=1, each=EVENTS)
    supervisor = psutil.Process(read_current_record(handle.run_dir).supervisor_pid)
    sizes, readable, over = [], 0, threading.Event()

    def watch():
        nonlocal readable
        while not over.wait(0.1):
            try:
                sizes.append(supervisor.memory_info().rss)
            except psutil.NoSuchProcess:
                return
            lines = (handle.run_dir / "events.jsonl").read_bytes()[-100_000:].split(b"\n")
            # The first is cut off by us, the last by the moment.
            readable += len([json.loads(line) for line in lines[1:-1]])

    watcher = threading.Thread(target=watch)
    watcher.start()
    seen = sum(isinstance(event, MetricsEvent) for event in handle.events(timeout=10 * PATIENCE))
    over.set()
    watcher.join()
    assert handle.wait(timeout=PATIENCE).status == "completed"
    assert seen == EVENTS
    assert readable > 1000
    assert len(sizes) > 10
    early = sizes[len(sizes) // 10]
    print(f"supervisor: {early / 2**20:.1f} MiB early, {max(sizes) / 2**20:.1f} at most; readable: {readable:,} lines")  # noqa: T201 - figures to write down
    assert max(sizes) - early < SLACK
    assert held().memory - begin.memory < 2 * SLACK  # the reader above holds the file for moments
