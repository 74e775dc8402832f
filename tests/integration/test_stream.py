"""What crosses the pipe arrives whole and in order, and nothing else gets in."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from visiontrain_harness import runs
from visiontrain_harness.processes import PATIENCE

import visiontrain
from visiontrain.protocol.events import LogEvent, MetricsEvent, ProgressEvent, StatusEvent, WorkerEvent
from visiontrain.rundir.directory import is_being_worked_on
from visiontrain.rundir.events import read_events

#: Names of the standard library that a folder may hold by chance.
HOSTILE = ("json.py", "typing.py", "random.py", "types.py", "signal.py", "visiontrain.py", "sitecustomize.py")


def messages(handle):
    return [event.message for event in handle.events(timeout=PATIENCE) if isinstance(event, LogEvent)]


def test_events_tell_the_run_from_its_start_to_its_end(start):
    events = list(start("base:Steady", steps=2).events(timeout=PATIENCE))
    kept = [event for event in events if not isinstance(event, ProgressEvent)]
    kinds = [type(event) for event in kept]
    assert kinds == [StatusEvent, WorkerEvent, MetricsEvent, MetricsEvent, MetricsEvent, StatusEvent]
    assert [kept[0].status, kept[-1].status] == ["running", "completed"]
    assert kept[1].worker.versions["defects"] == "1.0"
    assert kept[-1].metrics == {"accuracy": 0.5}
    assert any(isinstance(event, ProgressEvent) for event in events)


def test_what_is_told_of_a_start_and_an_end_can_be_relied_on(start):
    for _ in range(5):
        handle = start("base:Steady", steps=20, pause=0.001)
        assert handle.status == "running"
        list(handle.events(timeout=PATIENCE))
        assert not is_being_worked_on(handle.run_dir)
        assert handle.status == "completed"


def test_progress_is_shown_and_not_kept(start):
    handle = start("base:Steady", steps=3)
    handle.wait(timeout=PATIENCE)
    assert not [event for event in read_events(handle.run_dir / "events.jsonl") if isinstance(event, ProgressEvent)]
    assert b"progress" not in (handle.run_dir / "events.jsonl").read_bytes()


def test_eighty_thousand_events_of_four_threads_arrive_each_once_and_in_order(start):
    handle = start("floods:Trainer", threads=4, each=20_000)
    seen = {f"thread{number}": [] for number in range(4)}
    for event in handle.events(timeout=PATIENCE):
        if isinstance(event, MetricsEvent):
            ((name, value),) = event.values.items()
            seen[name].append(value)
    assert seen == {name: list(range(20_000)) for name in seen}
    assert handle.status == "completed"
    kept = [event.seq for event in read_events(handle.run_dir / "events.jsonl") if event.source == "worker"]
    assert kept == list(range(1, 80_001))


@pytest.mark.parametrize("read", [0, 5])
def test_a_listener_that_stops_reading_holds_up_nobody(start, read):
    handle = start("floods:Trainer", threads=1, each=30_000)
    stream = handle.events()
    for _ in range(read):
        next(stream)
    # Another reader follows the record; the one with the socket never reads on.
    other = runs.follow(handle.run_dir)
    assert other.wait(timeout=PATIENCE).status == "completed"


def test_noise_goes_to_the_log_and_damages_nothing(start):
    handle = start("noisy:Trainer")
    assert messages(handle) == ["input() met the end"]
    assert handle.status == "completed"
    assert handle.run.record.metrics == {}
    log = (handle.run_dir / "worker.log").read_bytes()
    for expected in (
        b"printed\n",
        b'{"jsonrpc":"2.0","id":2,',
        b"lone surrogate \\udcff\n",
        b"written to 1\n",
        b"\xff\xfe not UTF-8\n",
        b"a child\n",
        b"its error\n",
        b"its input: ''\n",
        b"prompt",
        b"no newline",
    ):
        assert expected in log
    assert "no newline" in handle.run.log


def test_a_mistake_in_a_report_is_the_trainers_to_handle(start):
    handle = start("says_nonsense:ReportsObject")
    told = messages(handle)
    assert told[0] == "before"
    assert told[-1] == "after"
    assert len([text for text in told if text.startswith("refused: ")]) == 2
    assert handle.status == "completed"


def test_children_of_every_start_method_find_their_modules(start):
    handle = start("starts_loaders:Trainer")
    told = {name: rest for name, *rest in map(json.loads, messages(handle))}
    assert handle.status == "completed"
    assert set(told) == {"worker", "fork", "spawn", "forkserver"}
    # Through the links, in the worker and in each child alike; nobody begins to serve again.
    assert all(rest == told["worker"] for rest in told.values())
    assert told["worker"][0] == 0
    assert Path(told["worker"][1]).parent.is_symlink()
    assert Path(told["worker"][1]).samefile(visiontrain.__file__)
    assert handle.run.log.count("child ") == 3


def test_files_that_are_named_like_modules_shadow_nothing(start, tmp_path, monkeypatch):
    first = start("base:Steady", steps=1)
    first.wait(timeout=PATIENCE)
    for folder in (tmp_path / "cwd", first.run_dir):
        folder.mkdir(exist_ok=True)
        for name in HOSTILE:
            (folder / name).write_text("raise SystemExit('shadowed')", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "cwd"))
    handle = start("starts_loaders:Trainer", run_dir=first.run_dir)
    told = [json.loads(text) for text in messages(handle)]
    assert handle.status == "completed"
    assert len(told) == 4
    assert not [path for _, _, *paths in told for path in paths if str(tmp_path / "cwd") in path]


def test_what_a_worker_sees_of_its_surroundings(start, monkeypatch):
    withheld = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "A_TOKEN", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"}
    for name in withheld:
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("MY_SETTING", "passes")
    handle = start("looks_around:Trainer", passthrough=("MY_*",))
    (text,) = messages(handle)
    seen = json.loads(text)
    variables = seen["variables"]
    assert not withheld & set(variables)
    assert variables["MY_SETTING"] == "passes"
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    assert variables["PATH"] == os.environ["PATH"]
    assert variables["PYTHONSAFEPATH"] == "1"
    assert seen["cwd"] == str(handle.run_dir)
    # Of this process's own paths nothing is to be seen but the folder of links, and that is last.
    assert Path(seen["path"][-1]).parent.name == "links"
    assert str(Path(visiontrain.__file__).parent.parent) not in seen["path"][:-1]


def test_twenty_runs_at_once_do_not_mix(tmp_path):
    handles, failures = {}, []

    def run(number):
        try:
            handles[number] = runs.start(tmp_path, "floods:Trainer", threads=1, each=number + 1)
            for _ in handles[number].events(timeout=PATIENCE):
                pass
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({handle.run_id for handle in handles.values()}) == 20
    for number, handle in handles.items():
        assert handle.status == "completed"
        events = list(read_events(handle.run_dir / "events.jsonl"))
        assert {event.run_id for event in events} == {handle.run_id}
        assert len([event for event in events if isinstance(event, MetricsEvent)]) == number + 1


def test_a_run_is_followed_by_processes_that_did_not_start_it(start):
    handle = start("base:Steady", steps=20, pause=0.01)
    followers = [runs.follow(handle.run_dir) for _ in range(3)]
    expected = [event for event in handle.events(timeout=PATIENCE) if not isinstance(event, ProgressEvent)]
    for follower in followers:
        assert list(follower.events(timeout=PATIENCE)) == expected
        assert follower.status == "completed"


def test_a_wait_that_takes_too_long_leaves_the_run_alone(start):
    handle = start("base:Steady", steps=100_000, pause=0.01)
    with pytest.raises(TimeoutError, match="it goes on"):
        handle.wait(timeout=0.2)
    assert handle.status == "running"
