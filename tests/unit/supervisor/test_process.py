from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from visiontrain_harness.processes import alive, until

from visiontrain.supervisor.process import death_in_words, descendants, exit_in_words, tail


def status_of(code):
    """The wait status of a process that runs the code."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", f"import os, signal; {code}"], os.environ)
    return os.waitpid(pid, 0)[1]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os._exit(0)", "ended with exit code 0"),
        ("os._exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL (likely out of memory, or killed by hand)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV (a fault in native code)"),
        ("os.kill(os.getpid(), signal.SIGUSR1)", "killed by SIGUSR1"),
    ],
)
def test_an_end_in_words(code, words):
    assert exit_in_words(status_of(code)) == words


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has signals without a name")
def test_a_signal_without_a_name():
    assert exit_in_words(signal.SIGRTMIN + 1) == f"killed by signal {signal.SIGRTMIN + 1}"


def test_an_end_where_an_answer_was_due():
    assert death_in_words(status_of("os._exit(3)")) == "the worker ended with exit code 3 without an answer"
    killed = status_of("os.kill(os.getpid(), signal.SIGUSR1)")
    assert death_in_words(killed) == "the worker was killed by SIGUSR1"


def test_descendants_are_found_whatever_their_session():
    code = (
        "import subprocess, time\n"
        "print(subprocess.Popen(['/bin/sleep', '600'], start_new_session=True).pid, flush=True)\n"
        "time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    grandchild = int(child.stdout.readline())
    found = descendants(os.getpid())
    assert found.index(child.pid) < found.index(grandchild)
    for pid in (grandchild, child.pid):
        os.kill(pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    until(lambda: not alive(grandchild), "the grandchild ends")
    assert grandchild not in descendants(os.getpid())


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="this machine has no ps, and does not need it")
def test_what_lists_the_processes_is_none_of_them(monkeypatch):
    monkeypatch.setattr("visiontrain.supervisor.process.LINUX", False)
    child = subprocess.Popen(["/bin/sleep", "600"])
    code = (
        "import os; from visiontrain.supervisor import process\n"
        "process.LINUX = False; print(process.descendants(os.getpid()))"
    )
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = descendants(os.getpid())
    child.kill()
    child.wait()
    assert alone.stdout == "[]\n"
    assert child.pid in found


class TestTail:
    def test_the_last_lines(self, tmp_path):
        path = tmp_path / "log"
        path.write_text("".join(f"line {number}\n" for number in range(100)), encoding="utf-8")
        assert tail(path, lines=2) == "line 98\nline 99"
        assert tail(path, lines=2, limit=10) == "8\nline 99"

    def test_not_what_was_there_before(self, tmp_path):
        path = tmp_path / "log"
        path.write_text("before\nafter\n", encoding="utf-8")
        assert tail(path, start=7) == "after"
        assert tail(path, start=13) == ""

    def test_odd_bytes_and_no_newline(self, tmp_path):
        path = tmp_path / "log"
        path.write_bytes(b"\xff one\ntwo")
        assert tail(path) == "\N{REPLACEMENT CHARACTER} one\ntwo"

    def test_no_file(self, tmp_path):
        assert tail(tmp_path / "log") == ""
