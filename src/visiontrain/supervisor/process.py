"""Starting a worker so that it can't outlive us, and ending it with everything that it started."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = [
    "become_subreaper",
    "death_in_words",
    "descendants",
    "exit_in_words",
    "kill_descendants",
    "spawn_worker",
    "tail",
]

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
F_SETPIPE_SZ = 1031
PIPE_SIZE = 1 << 20
LINUX = sys.platform == "linux"


def become_subreaper() -> None:
    """Orphans below us become our children, so that a walk of the tree finds them (Linux alone has this)."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def spawn_worker(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: Path,
    log: int,
    stdin: int = subprocess.PIPE,
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start the worker in a process group of its own; its stderr is the log's file descriptor.

    Call it from the main thread: the parent-death signal is sent when the *thread* that started the worker ends.
    """
    before = None
    if LINUX:
        prctl = ctypes.CDLL(None).prctl
        parent = os.getpid()

        def before() -> None:
            prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != parent:  # we died between fork and prctl
                os._exit(1)

    worker = subprocess.Popen(
        argv,
        stdin=stdin,
        stdout=stdout,
        stderr=log,
        cwd=cwd,
        env=env,
        start_new_session=True,
        preexec_fn=before,  # noqa: PLW1509 - this process has one thread
        bufsize=0,
    )
    if LINUX and worker.stdout is not None:
        # Room for what a worker says while its events are let come together; refused where a user has too many pipes.
        with contextlib.suppress(OSError):
            fcntl.fcntl(worker.stdout, F_SETPIPE_SZ, PIPE_SIZE)
    return worker


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, nearest first; process groups and sessions don't hide any."""
    children: dict[int, list[int]] = {}
    for child, parent in _processes():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    frontier = [pid]
    while frontier:
        frontier = [child for parent in frontier for child in children.get(parent, ())]
        found += frontier
    return found


def kill_descendants(*, within: float = 2.0) -> list[int]:
    """Kill every process below this one and reap them; returns those that were still there after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        alive = descendants(os.getpid())
        if not alive or time.monotonic() > deadline:
            return alive
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        reap()
        time.sleep(0.005)


def reap() -> dict[int, int]:
    """Collect ended children without waiting: wait status by process id."""
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended[pid] = status
    return ended


def _processes() -> list[tuple[int, int]]:
    """(process, parent) of all processes that can be seen."""
    if LINUX:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    stat = (folder / "stat").read_bytes()
                    # The command's name stands in parentheses and may hold anything: what follows the last one counts.
                    found.append((int(folder.name), int(stat[stat.rindex(b")") + 2 :].split()[1])))
        return found
    command = ["/bin/ps", "-axo", "pid=,ppid="]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ps:
        listing, _ = ps.communicate()
    if ps.returncode:
        raise subprocess.CalledProcessError(ps.returncode, command)
    pairs = [(int(pid), int(parent)) for pid, parent in (line.split() for line in listing.splitlines())]
    return [(pid, parent) for pid, parent in pairs if pid != ps.pid]  # it lists itself, and is gone


_LIKELY = {
    signal.SIGKILL: "likely out of memory, or killed by hand",
    signal.SIGSEGV: "a fault in native code",
    signal.SIGBUS: "a fault in native code, or shared memory is full",
    signal.SIGABRT: "native code gave up",
    signal.SIGILL: "native code for another processor",
    signal.SIGFPE: "an arithmetic fault in native code",
    signal.SIGTERM: "asked to end by another process",
}


def exit_in_words(status: int) -> str:
    """A wait status as a person would say it: "killed by SIGKILL (likely out of memory, or killed by hand)"."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number)
        except ValueError:
            return f"killed by signal {number}"
        likely = _LIKELY.get(name)
        return f"killed by {name.name}" + (f" ({likely})" if likely else "")
    return f"ended with exit code {os.WEXITSTATUS(status)}"


def death_in_words(status: int) -> str:
    """A worker's end, where an answer was due, as a sentence."""
    words = exit_in_words(status)
    return f"the worker was {words}" if os.WIFSIGNALED(status) else f"the worker {words} without an answer"


def tail(path: Path, *, lines: int = 20, limit: int = 16_384, start: int = 0) -> str:
    """The last lines of a file from the byte `start` on, at most `limit` bytes of it."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - limit))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""
