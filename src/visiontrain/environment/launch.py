"""A script that starts a program which ends, on Linux, as soon as the process that asked for it does.

::

    python -I -S launch.py PID PROGRAM ARGUMENT...

PID is the process that asks. Without it, a uv whose builder was killed would go on writing where the next build wipes.
Standard library only. Not done with ``preexec_fn``: that is not safe in a host that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _main() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(sys.argv[1]):
            sys.exit("the process that asked has ended")
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _main()
