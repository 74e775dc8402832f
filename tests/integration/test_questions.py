"""A worker that is asked short questions, without a run: however it, its keeper or its host ends, nothing stays."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time

import pytest
from visiontrain_harness.processes import HOST_GONE, TOLD, alive, promised, until
from visiontrain_harness.runs import bare_python, command

from visiontrain.errors import RunFailedError, WorkerCrashedError
from visiontrain.runners.connection import WorkerConnection
from visiontrain.supervisor.process import descendants

LINUX = sys.platform == "linux"

VARIABLES = ("VISIONTRAIN_TEST_*",)

#: A host that asks.
HOST = """
import sys, time
from pathlib import Path
from visiontrain_harness.runs import command
from visiontrain.runners.connection import WorkerConnection
home, trainer, forks = sys.argv[1:4]
with WorkerConnection(command(Path(home), trainer, passthrough=("VISIONTRAIN_TEST_*",))) as worker:
    worker.initialize()
    if forks == "forks":
        import os
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
    print("initialized", flush=True)
    worker.request("models")
    print("answered", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Where working folders of workers are made."""
    bare_python()  # not there
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return lambda: list(path.glob("visiontrain-*"))


@pytest.fixture
def leaving(tmp_path, monkeypatch):
    """Says what the trainer `leaves_children:WhenAsked` does after it has left some; gives their ids, once it has."""
    path = tmp_path / "pids"

    def leaving(then):
        path.unlink(missing_ok=True)
        monkeypatch.setenv("VISIONTRAIN_TEST_PIDS", str(path))
        monkeypatch.setenv("VISIONTRAIN_TEST_THEN", then)
        return lambda: [int(pid) for pid in until(lambda: path.exists() and path.read_text().split(), "the children")]

    return leaving


def asked(tmp_path, trainer):
    return WorkerConnection(command(tmp_path, trainer, passthrough=VARIABLES))


def crash_told(worker, words="worker"):
    """Ask a worker that ends, or has ended; gives what was raised, and the seconds that it took."""
    began = time.monotonic()
    with pytest.raises(WorkerCrashedError, match=words) as caught:
        worker.request("models")
    return time.monotonic() - began, caught.value


class TestWorker:
    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("SIGKILL", "killed by SIGKILL (likely out of memory"),
            ("segfault", "killed by SIGSEGV (a fault in native code)"),
            ("abort", "killed by SIGABRT"),
            ("os._exit 0", "ended with exit code 0 without an answer"),
            ("os._exit 3", "ended with exit code 3 without an answer"),
        ],
    )
    def test_its_end_is_told_in_words_with_the_logs_last_lines(self, tmp_path, monkeypatch, how, words):
        monkeypatch.setenv("VISIONTRAIN_TEST_HOW", how)

        def attempt():
            with asked(tmp_path, "dies:WhenAsked") as worker:
                worker.initialize()
                return crash_told(worker)

        error = promised(attempt, within=TOLD)
        assert words in error.reason
        assert error.log_tail.splitlines()[0] == "last words"

    def test_a_failure_leaves_it_of_use(self, tmp_path, monkeypatch):
        monkeypatch.setenv("VISIONTRAIN_TEST_HOW", "raise")
        with asked(tmp_path, "dies:WhenAsked") as worker:
            worker.initialize()
            for _ in range(2):
                with pytest.raises(RunFailedError, match="ValueError: the failure"):
                    worker.request("models")

    def test_killed_while_idle_the_next_question_says_so(self, tmp_path):
        def attempt():
            with asked(tmp_path, "base:Steady") as worker:
                pid = worker.initialize().pid
                os.kill(pid, signal.SIGKILL)
                until(lambda: not alive(pid), "the worker ends")
                # And the one after it.
                return max(crash_told(worker, "killed by SIGKILL")[0] for _ in range(2)), None

        promised(attempt, within=TOLD)

    def test_it_is_told_in_good_time_with_children_that_hold_its_pipe(self, tmp_path, leaving):
        def attempt():
            pids = leaving("crash")
            with asked(tmp_path, "leaves_children:WhenAsked") as worker:
                worker.initialize()
                began = time.monotonic()
                crash_told(worker)
            seconds = time.monotonic() - began
            assert [pid for pid in (pids() if LINUX else pids()[:-1]) if alive(pid)] == []
            return seconds, None

        promised(attempt, within=TOLD)

    def test_one_that_closes_its_pipe_and_lives_on(self, tmp_path, monkeypatch, folders):
        monkeypatch.setattr("visiontrain.runners.connection.SHUTDOWN", 0.2)
        with asked(tmp_path, "dies:ClosesPipe") as worker:
            pid = worker.initialize().pid
            with pytest.raises(WorkerCrashedError, match="closed its pipe"):
                worker.request("models")
        assert not alive(pid)
        assert folders() == []

    def test_an_answer_leaves_nothing_behind(self, tmp_path, monkeypatch, leaving, folders):
        monkeypatch.setattr("visiontrain.runners.connection.SHUTDOWN", 0.2)
        pids = leaving("answer")
        with asked(tmp_path, "leaves_children:WhenAsked") as worker:
            worker.initialize()
            assert worker.request("models")
            assert len(folders()) == 1
        assert [pid for pid in (pids() if LINUX else pids()[:-1]) if alive(pid)] == []
        assert folders() == []
        assert descendants(os.getpid()) == []


@pytest.mark.skipif(not LINUX, reason="Linux alone gives orphans to the guard above")
class TestKeeper:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_killed_nothing_is_left_over(self, tmp_path, leaving, folders, number):
        def attempt():
            pids = leaving("answer")
            with asked(tmp_path, "leaves_children:WhenAsked") as worker:
                worker.initialize()
                worker.request("models")
                guard = worker._process.pid
                keeper = next(pid for pid in descendants(guard) if pid not in pids())
                os.kill(keeper, number)
                seconds, _ = crash_told(worker, f"the worker's keeper was killed by {number.name}")
            assert [pid for pid in pids() if alive(pid)] == []
            assert folders() == []
            return seconds, None

        promised(attempt, within=TOLD)

    def test_killed_with_its_guard_the_worker_ends_too(self, tmp_path, folders):
        with asked(tmp_path, "base:Steady") as worker:
            pid = worker.initialize().pid
            for process in (worker._process.pid, *descendants(worker._process.pid)[:1]):
                os.kill(process, signal.SIGKILL)
            until(lambda: not alive(pid), "the worker ends")
            with pytest.raises(WorkerCrashedError, match=r"the worker's keeper ended"):
                worker.request("models")
        assert folders() == []


class TestHost:
    @pytest.mark.parametrize("then", ["answer", "hold the GIL"])
    def test_killed_nothing_is_left_over(self, host, tmp_path, leaving, folders, then):
        def attempt():
            pids = leaving(then)
            process, line = host(HOST, tmp_path, "leaves_children:WhenAsked", "alone")
            assert line == "initialized"
            children = pids()
            children += descendants(process.pid)
            if then == "answer":
                assert process.stdout.readline() == "answered\n"
            began = time.monotonic()
            process.kill()
            seen = children if LINUX else children[:3]
            until(lambda: not any(map(alive, seen)), "the worker and its children end")
            until(lambda: folders() == [], "its folder is removed")
            return time.monotonic() - began, None

        promised(attempt, within=HOST_GONE)

    def test_a_forked_child_does_not_keep_the_worker(self, host, tmp_path, folders):
        process, line = host(HOST, tmp_path, "base:Steady", "forks")
        assert (line, process.stdout.readline()) == ("initialized", "answered\n")
        below = [pid for pid in descendants(process.pid) if os.getsid(pid) != os.getsid(process.pid)]
        assert len(below) == 3  # guard, keeper, worker
        process.kill()
        until(lambda: not any(map(alive, below)), "the worker ends", within=HOST_GONE)
        assert folders() == []
