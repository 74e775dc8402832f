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

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, *, within: float = PATIENCE) -> T:
    """Wait until the condition gives something true, and return that."""
    deadline = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.02)
    return result


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
