"""Work that is less urgent than a training. Standard library only."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["stand_back"]

#: A tenth of the share that others get. With the lowest priority a busy machine would leave the work almost none.
_NICENESS = 10


def stand_back() -> None:
    """Let every other process of the machine go first where processors are scarce."""
    if os.getpriority(os.PRIO_PROCESS, 0) < _NICENESS:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    # Linux may share processors among sessions before it looks at what is nice within one.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS), encoding="ascii")
