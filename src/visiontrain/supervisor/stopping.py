"""Stopping in steps: a flag, an interrupt, the end; each is given its time."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Literal

from visiontrain.protocol.events import Status
from visiontrain.supervisor.launch import Deadlines

__all__ = ["URGENT", "Stop"]

Step = Literal["flag", "interrupt", "kill"]

#: Seconds for each step after the flag where nobody can wait: an interrupt, and then an end in good order.
URGENT = 1.0


class Stop:
    """A stop under way. The flag was raised when it is made; the steps after that are taken here.

    Args:
        status: What the run's status will be.
        reason: Who asked.
        patience: Seconds until the interrupt.
        interrupt: Seconds from the interrupt until the worker is killed.
        shutdown: Seconds for the worker to end by itself, once it has answered.
    """

    def __init__(
        self, status: Status, reason: str, *, patience: float, interrupt: float = URGENT, shutdown: float = URGENT
    ) -> None:
        self.status = status
        self.reason = reason
        self._step: Step = "flag"
        self._deadline = time.monotonic() + patience
        self._interrupt = interrupt
        self.shutdown = shutdown
        self.is_at_once = False  # nothing is quicker: to ask for it again must not begin the steps anew

    @classmethod
    def asked(cls, reason: str, deadlines: Deadlines) -> Stop:
        """Somebody wants the run to stop, and can wait for its next safe point."""
        return cls(
            "stopped",
            reason,
            patience=deadlines.stop,
            interrupt=deadlines.interrupt,
            shutdown=deadlines.shutdown,
        )

    @classmethod
    def at_once(cls) -> Stop:
        """Somebody can't wait."""
        stop = cls("stopped", "asked to end at once", patience=0.0)
        stop.is_at_once = True
        return stop

    @classmethod
    def disk_full(cls, deadlines: Deadlines) -> Stop:
        """The record can't be written: nobody would learn what the run goes on to do."""
        reason = "the run's record can't be written"
        return cls("failed", reason, patience=deadlines.host_gone)

    @classmethod
    def host_gone(cls, deadlines: Deadlines) -> Stop:
        """The process that the run is attached to has ended."""
        reason = "the process that started the run ended"
        return cls("interrupted", reason, patience=deadlines.host_gone)

    @property
    def is_forced(self) -> bool:
        """Whether more than the flag was needed."""
        return self._step != "flag"

    def hasten(self, patience: float) -> None:
        """Wait no longer than `patience` seconds more for the step that comes next, and for none after it."""
        self._deadline = min(self._deadline, time.monotonic() + patience)
        self._interrupt = min(self._interrupt, URGENT)
        self.shutdown = min(self.shutdown, URGENT)

    def advance(self, worker: int) -> None:
        """Take the next step towards the process `worker`, if it is due."""
        if time.monotonic() < self._deadline:
            return
        if self._step == "flag":
            self._step, self._deadline = "interrupt", time.monotonic() + self._interrupt
            _signal(worker, signal.SIGINT)
        elif self._step == "interrupt":
            self._step = "kill"
            _signal(worker, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
