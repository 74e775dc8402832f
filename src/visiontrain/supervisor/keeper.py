"""The keeper of a worker that has no run: ``python -I -S -c BOOTSTRAP FOLDER LIFELINE``.

It starts the worker on the pipes that it was given itself, tells how that ended, and leaves no process behind: neither
when the worker ends, nor when the host does, nor when it is killed itself (then the guard above it cleans up).

LIFELINE is a socket's descriptor. Over it comes one line, what to start; its end is the host's. Back goes one line, how
the worker ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from visiontrain.supervisor.guard import run_guarded
from visiontrain.supervisor.process import exit_in_words, kill_descendants, reap, spawn_worker

__all__ = ["BOOTSTRAP", "Ending", "Errand", "main"]

#: Started with ``-c``; the first argument is the folder that holds the package `visiontrain`.
BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from visiontrain.supervisor.keeper import main; main()"


# Named tuples, and JSON arrays on the way: whoever asks a short question waits for what is imported here.
class Errand(NamedTuple):
    """What to start, with its whole environment. `folder` is its working folder; it is removed when all is over."""

    argv: tuple[str, ...]
    env: dict[str, str]
    folder: str


class Ending(NamedTuple):
    """How it ended: the worker's wait status, or what came in between."""

    status: int | None = None
    failure: str | None = None


def main() -> None:
    """Keep one worker."""
    lifeline = int(sys.argv[2])
    with open(lifeline, "rb", closefd=False) as lines:
        line = lines.readline()
    if not line:
        return  # the host went away before it said anything
    errand = Errand(*json.loads(line))
    status = run_guarded(lambda: _keep(errand, lifeline), let_go=(0, 1))
    if os.WIFSIGNALED(status):
        _tell(lifeline, Ending(failure=f"the worker's keeper was {exit_in_words(status)}"))
    import shutil  # here: the start must not wait for it

    shutil.rmtree(errand.folder, ignore_errors=True)


def _keep(errand: Errand, lifeline: int) -> None:
    child_ended, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        worker = spawn_worker(errand.argv, errand.env, cwd=Path(errand.folder), stdin=0, stdout=1, log=2)
    except OSError as error:
        _tell(lifeline, Ending(failure=f"the worker could not be started: {error}"))
        return
    for fd in (0, 1):
        os.close(fd)  # they are the worker's alone: its end, or what it makes of them, is seen by the host
    status = None
    while status is None:
        ready, _, _ = select.select([lifeline, child_ended], [], [])
        status = reap().get(worker.pid)
        if lifeline in ready:
            break  # the host says nothing more: this is its end
        os.read(child_ended, 4096)
    if status is not None:
        worker.returncode = os.waitstatus_to_exitcode(status)
        _tell(lifeline, Ending(status))
    kill_descendants()


def _tell(lifeline: int, ending: Ending) -> None:
    with contextlib.suppress(OSError):  # nobody is left to be told
        os.write(lifeline, json.dumps(ending).encode() + b"\n")
