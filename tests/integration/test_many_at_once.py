"""Many runs at once in one home, of threads and of processes: none sees anything of another."""

from __future__ import annotations

import json
import threading

from visiontrain_harness.processes import PATIENCE

from visiontrain.handles import Run
from visiontrain.protocol.events import MetricsEvent
from visiontrain.rundir.events import read_events
from visiontrain.session import Session

RUNS = 20

#: A process that trains: home, data, a number that makes its run another one than the others.
TRAIN = """
import json, sys
from visiontrain.session import Session

home, data, number = sys.argv[1:]
session = Session(home)
run = session.train(data, model="count_small", progress=False, epochs=2, steps=int(number), seed=int(number))
print(json.dumps([run.run_id, run.status, run.history]))
"""


def check(run: Run, number: int) -> None:
    """The run of `number` has its own events, all of them, in order, and no others."""
    assert run.status == "completed"
    assert (run.record.spec["seed"], run.record.spec["options"]["steps"]) == (number, number)
    events = list(read_events(run.run_dir / "events.jsonl"))
    assert {event.run_id for event in events} == {run.run_id}
    for source in ("worker", "supervisor"):
        told = [event.seq for event in events if event.source == source]
        assert told == sorted(set(told))
    assert [event.step for event in events if isinstance(event, MetricsEvent)] == [number, 2 * number]
    assert [row["step"] for row in run.history] == [number, 2 * number]


def test_twenty_threads_train_in_one_session(session, pictures):
    session.build_environment("counter")
    runs: dict[int, Run] = {}
    failures: list[BaseException] = []

    def train(number: int) -> None:
        try:
            handle = session.start(pictures, model="count_small", epochs=2, steps=number, seed=number)
            seen = {event.run_id for event in handle.events(timeout=3 * PATIENCE)}
            assert seen == {handle.run_id}
            runs[number] = handle.run
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=train, args=(number,)) for number in range(1, RUNS + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({run.run_id for run in runs.values()}) == RUNS
    assert {run.run_id for run in session.runs()} == {run.run_id for run in runs.values()}
    for number, run in runs.items():
        check(run, number)


def test_twenty_processes_train_in_one_home(session, pictures, host):
    started = []
    threads = [
        # Each waits for its process's answer, which comes at the end: in threads they run at once.
        threading.Thread(target=lambda n=number: started.append((n, host(TRAIN, session.home.root, pictures, n))))
        for number in range(1, RUNS + 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {number: json.loads(line) for number, (_, line) in started}
    assert all(process.wait(3 * PATIENCE) == 0 for _, (process, _) in started)
    assert len({run_id for run_id, _, _ in told.values()}) == RUNS
    for number, (run_id, status, history) in told.items():
        run = session.run(run_id)
        assert (status, history) == ("completed", run.history)
        check(run, number)
    # The environment, the index and the folder of links were made once, by whoever was first.
    assert len(session.environments()) == 1
    for folder in (session.home.datasets, session.home.links):
        left = [path.name for path in folder.iterdir() if path.name.startswith(".") and path.is_dir()]
        assert left == []
    assert {run.run_id for run in Session(session.home.root).runs()} == {run_id for run_id, _, _ in told.values()}
