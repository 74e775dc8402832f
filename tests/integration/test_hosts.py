"""Hosts that end as they do on a person's machine: a closed terminal, a restarted kernel; and what comes afterwards."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from visiontrain_harness.processes import HOST_GONE, PATIENCE, alive, until

from visiontrain.errors import RunInterruptedError
from visiontrain.protocol.events import ResumedEvent, StatusEvent
from visiontrain.rundir.directory import is_being_worked_on
from visiontrain.session import Session
from visiontrain.supervisor.process import descendants

MAIN = "from visiontrain.cli.main import main; main()"

LONG = ("--epochs", "10000", "--set", "steps=2", "--set", "pause=0.01")

#: A notebook's kernel: a process that has imported visiontrain and started a run, in a thread and not waited for.
KERNEL = """
import sys, threading, time
import visiontrain
handles = []
def work():
    handles.append(visiontrain.start(sys.argv[1], model="count_small", epochs=10000, steps=2, pause=0.01))
    print(handles[0].run_id, flush=True)
thread = threading.Thread(target=work)
thread.start()
thread.join()
time.sleep(600)
"""


@pytest.fixture
def home(session, monkeypatch):
    """The session's home, for processes too; its environment is built."""
    monkeypatch.setenv("VISIONTRAIN_HOME", str(session.home.root))
    session.build_environment("counter")
    return session


@pytest.fixture
def terminal(home):
    """Runs a command in a terminal of its own; closing that hangs up on it."""
    opened = []

    def terminal(*arguments):
        pid, screen = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", MAIN, *map(str, arguments)])
        opened.append((pid, screen))
        return pid, screen

    yield terminal
    for pid, screen in opened:
        close(screen)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def close(screen):
    try:
        os.close(screen)
    except OSError:
        return


def read_until(screen, words):
    """Read what the terminal shows until the words come."""
    seen = b""
    deadline = time.monotonic() + PATIENCE
    while words not in seen:
        assert time.monotonic() < deadline, seen.decode(errors="replace")
        try:
            seen += os.read(screen, 4096)
        except OSError as error:  # the end of a terminal
            raise AssertionError(seen.decode(errors="replace")) from error
    return seen


def run_under_way(session):
    """The session's one run, once it has a checkpoint."""
    (run,) = until(session.runs, "a run begins")
    until(lambda: run.record.last, "the first checkpoint")
    return run


def processes_of(run):
    return [run.record.supervisor_pid, run.record.worker.pid]


def goes_on(session, run):
    """Resume the run; it does so from where it was, and can be stopped again."""
    done = run.record.last.step
    handle = session.resume(run.run_id)
    until(lambda: b'"resumed"' in (handle.run_dir / "events.jsonl").read_bytes(), "the trainer goes on")
    handle.stop()
    events = list(handle.events(timeout=PATIENCE))
    (resumed,) = [event for event in events if isinstance(event, ResumedEvent)]
    assert resumed.step == done
    rows = [row["epoch"] for row in run.history]
    assert rows == list(range(1, len(rows) + 1))
    return True


class TestClosedTerminal:
    def test_the_run_stops_with_a_checkpoint_and_can_be_gone_on_with(self, home, terminal, pictures):
        pid, screen = terminal("train", pictures, "--model", "count_small", *LONG)
        read_until(screen, b"epoch")
        run = run_under_way(home)
        pids = processes_of(run)
        os.close(screen)
        os.waitpid(pid, 0)
        until(lambda: not is_being_worked_on(run.run_dir), "the run ends", within=HOST_GONE)
        assert not any(map(alive, pids))
        assert run.status == "interrupted"
        with pytest.raises(RunInterruptedError, match="the process that started the run ended") as caught:
            run.raise_for_status()
        assert f"visiontrain resume {run.run_id}" in caught.value.instruction
        assert goes_on(home, run)

    def test_a_detached_run_goes_on_and_any_process_can_stop_it(self, home, terminal, pictures):
        pid, screen = terminal("train", pictures, "--model", "count_small", *LONG, "--detach")
        read_until(screen, b"Started")
        run = run_under_way(home)
        os.close(screen)
        os.waitpid(pid, 0)
        done = run.record.last.step
        until(lambda: run.record.last.step > done, "the run goes on")
        assert run.status == "running"
        handle = Session(home.home.root).follow(run.run_id)
        handle.stop()
        statuses = [event.status for event in handle.events(timeout=PATIENCE) if isinstance(event, StatusEvent)]
        assert statuses == ["running", "stopped"]
        assert handle.wait(timeout=PATIENCE).status == "stopped"

    def test_while_it_is_followed_alone_the_run_goes_on(self, home, terminal, pictures):
        handle = home.start(pictures, model="count_small", epochs=10000, steps=2, pause=0.01)
        pid, screen = terminal("runs", "follow", handle.run_id)
        read_until(screen, b"epoch")
        os.close(screen)
        os.waitpid(pid, 0)
        assert handle.status == "running"
        handle.kill()
        assert list(handle.events(timeout=PATIENCE))[-1].status == "stopped"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_restarted_kernel_leaves_a_checkpoint_and_nothing_else(home, host, pictures, number):
    process, run_id = host(KERNEL, pictures)
    run = home.run(run_id)
    until(lambda: run.record.last, "the first checkpoint")
    pids = processes_of(run)
    process.send_signal(number)
    process.wait()
    until(lambda: not is_being_worked_on(run.run_dir), "the run ends", within=HOST_GONE)
    assert not any(map(alive, pids))
    assert run.status == "interrupted"
    assert goes_on(home, run)


def test_ctrl_c_at_a_terminal_reaches_the_run_as_a_request_to_stop(home, terminal, pictures):
    pid, screen = terminal("train", pictures, "--model", "count_small", *LONG)
    run_under_way(home)
    os.write(screen, b"\x03")
    read_until(screen, b"Stopped")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    (run,) = home.runs()
    assert run.status == "stopped"
    assert run.record.last is not None
    assert goes_on(home, run)


class TestWhileAFrameworkLoads:
    @pytest.fixture
    def loading(self, home, installed, pictures):
        """A command whose worker is importing its framework, and every process below it."""
        installed("slow_to_load")
        command = [sys.executable, "-c", MAIN, "train", str(pictures), "--model", "slow_net"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until(lambda: "/bin/sleep" in map(program, descendants(process.pid)), "the import begins")
        yield process, descendants(process.pid)
        process.kill()
        process.communicate()

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_an_interrupt_ends_it_all_with_a_word(self, loading, home, number, code):
        process, below = loading
        process.send_signal(number)
        _, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == code
        assert "Interrupted: nothing was started." in stderr
        assert "Traceback" not in stderr
        assert not any(map(alive, below))
        assert home.runs() == []

    def test_a_host_that_is_killed_leaves_nothing(self, loading):
        process, below = loading
        process.kill()
        until(lambda: not any(map(alive, below)), "all end", within=HOST_GONE)


def program(pid):
    """What a process runs."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
        except OSError:  # it has ended
            return ""
    listing = subprocess.run(["/bin/ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout.split(" ")[0]


FORKING = """
import os, sys
from pathlib import Path
from visiontrain_harness import runs
handle = runs.start(Path(sys.argv[1]), "base:Steady", steps=100_000, pause=0.01)
child = os.fork()
if child == 0:
    try:
        handle.wait(timeout=1.0)
        print("over", flush=True)
    except TimeoutError:
        handle.stop()
        print(handle.wait(timeout=60.0).status, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_forked_child_follows_the_run_as_any_other_process_does(host, tmp_path):
    assert host(FORKING, tmp_path)[1] == "stopped"
