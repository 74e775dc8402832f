"""How long a run will take, and how much memory, in a line."""

from __future__ import annotations

import math
from datetime import datetime

from visiontrain.protocol.events import EstimateEvent, in_epochs
from visiontrain.wording import duration, plural

__all__ = ["EstimateLines"]

#: Share by which the time left has to differ from what was said for a person to be told anew.
_DIFFERENT = 0.25
#: Seconds that nobody needs to be told about.
_LITTLE = 20.0
#: Share of an epoch that may be done where whole ones are spoken of.
_BEGUN = 0.1


class EstimateLines:
    """Says the first estimate of an attempt, and those after it that change it much."""

    def __init__(self) -> None:
        self._said: tuple[float, float] | None = None  # when (monotonic), and seconds left then

    def forget(self) -> None:
        """Another attempt begins."""
        self._said = None

    def take(self, event: EstimateEvent) -> str | None:
        """The line for an estimate, where it is worth one."""
        first, before = self._said is None, self._said or (event.monotonic, event.seconds)
        expected = max(0.0, before[1] - (event.monotonic - before[0]))
        change = abs(event.seconds - expected)
        if not first and (change < _LITTLE or change < _DIFFERENT * max(event.seconds, expected)):
            return None
        self._said = event.monotonic, event.seconds
        end = _clock_time(event.time, event.time + event.seconds)
        each = f"{duration(event.epoch_seconds)} each, " if event.epochs > 1 else ""
        left = math.ceil(event.epochs)
        epochs = plural(left, "epoch") if left - event.epochs < _BEGUN else f"{in_epochs(event.epochs)} epochs"
        words = "About" if first else "Another estimate: about"
        return f"{words} {duration(event.seconds)} for {epochs} ({each}ends about {end}){_memory(event)}"


def _clock_time(now: float, then: float) -> str:
    """The hour and minute, with the day where it is another one; both are seconds since 1970."""
    today, day = datetime.fromtimestamp(now).astimezone(), datetime.fromtimestamp(then).astimezone()
    return f"{day:%H:%M}" if day.date() == today.date() else f"{day:%d %b %H:%M}"


def _memory(event: EstimateEvent) -> str:
    if event.memory is None:
        return ""
    of = "" if event.memory_total is None else f" of {event.memory_total / 2**30:.1f} GiB"
    return f"; memory {event.memory / 2**30:.1f} GiB{of}"
