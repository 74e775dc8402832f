"""Looking at processes, and waiting for what is about to happen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

#: Seconds after which something that should have happened long ago fails the test.
PATIENCE = 60.0

#: Seconds within which a death is told, within which nothing that died with it is left, and within which all that
#: belongs to a host that died is gone. They are promised.
TOLD, GONE, HOST_GONE = 1.0, 2.0, 10.0

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, *, within: float = PATIENCE) -> T:
    """Wait until the condition gives something true, and return that."""
    deadline = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.02)
    return result


def promised(attempt: Callable[[], tuple[float, T]], *, within: float, attempts: int = 3) -> T:
    """Try until it takes no longer than promised, a few times at the most; gives what that attempt gave.

    Other tests use the machine as well and may take it away for a moment, but not each time: what polls, waits for a
    deadline or for a pipe to be closed does so each time.

    Args:
        attempt: Gives the seconds that it measured, and something beside.
        within: Seconds that are promised.
        attempts: How often to try.
    """
    measured = []
    for _ in range(attempts):
        seconds, found = attempt()
        if seconds <= within:
            return found
        measured.append(f"{seconds:.2f}")
    raise AssertionError(f"promised within {within:g} s, and took {', '.join(measured)} s")


def alive(pid: int) -> bool:
    """Whether the process is there and not merely waiting to be reaped."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return False
        return stat[stat.rindex(b")") + 2 :].split()[0] != b"Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
