"""A process above another one: whatever ends that, nothing that it started outlives it.

A process that is killed with 9 cleans up nothing. Its worker dies by the parent-death signal, but not what the worker
had started: that becomes the child of the nearest subreaper above, which is the guard (Linux alone has this; elsewhere
the worker ends its own group when its pipe closes).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from visiontrain.supervisor.process import become_subreaper, kill_descendants

__all__ = ["run_guarded"]

#: What a service manager or a terminal sends to every process: the guarded one acts on them, the guard outlives it.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT)


def run_guarded(work: Callable[[], None], *, let_go: Iterable[int] = ()) -> int:
    """Do `work` in a forked child; when that has ended, kill every process that it left.

    Call it while this process has one thread. Locks and sockets that are open stay so until the last process is gone.

    Args:
        work: What to do.
        let_go: Descriptors that the guard shall not hold: pipes whose end tells somebody something.

    Returns:
        The child's wait status; its exit code is 1 where `work` raised, and the traceback is on stderr.
    """
    become_subreaper()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _IGNORED}
    child = os.fork()
    if child == 0:
        for number, handler in before.items():
            signal.signal(number, handler)
        become_subreaper()
        _exit_after(work)
    for fd in let_go:
        os.close(fd)
    status = _wait_for(child)
    kill_descendants()
    return status


def _exit_after(work: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here, and what follows run_guarded is the guard's to do
        import traceback  # here: a start must not pay for it

        with contextlib.suppress(OSError):  # the log's disk may be full
            traceback.print_exc(file=sys.stderr)
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _wait_for(child: int) -> int:
    while True:
        # Orphans of the child become ours while it lives on: they are reaped on the way.
        with contextlib.suppress(InterruptedError):
            pid, status = os.waitpid(-1, 0)
            if pid == child:
                return status
