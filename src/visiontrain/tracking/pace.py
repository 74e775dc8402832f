"""When a run that goes on is sent: soon enough to be looked at, and so seldom that its training does not feel it."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Pace"]

#: Seconds between two looks at a run that goes on, and at one that is over.
POLL, POLL_OVER = 1.0, 0.1

#: Seconds between two samples of the machine's loads.
SAMPLE_EVERY = 10.0

#: How much of the time pieces may take while the training goes on. What waits because of that is sent after its end.
SHARE = 0.1

#: Seconds between two pieces at the most: a slow server takes long to answer, and nothing of this machine.
LONGEST_REST = 10.0

#: Seconds after a failure until the next try: the first time, and at the most.
FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0

#: Seconds for which a run that is over is tried again where its tracker does not take it.
PATIENCE = 120.0


class Pace:
    """When a run that is followed is sent next, and when the machine's loads are sampled.

    Args:
        clock: Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._send_at = self._sample_at = clock()
        self._delay = FIRST_DELAY
        self._over = False
        self._give_up_at: float | None = None

    def look(self, *, over: bool) -> tuple[bool, bool]:
        """Whether a piece is to be sent now, and whether a sample is to be taken.

        Args:
            over: Whether the run is. From then on nothing waits for the training's sake, and nothing is sampled.
        """
        now = self._clock()
        if over != self._over:
            self._over, self._send_at = over, now
        sample = not over and now >= self._sample_at
        if sample:
            self._sample_at = now + SAMPLE_EVERY
        return now >= self._send_at, sample

    def sent(self, took: float) -> None:
        """A piece was accepted, or there was none; `took`: how many seconds that took."""
        self._delay, self._give_up_at = FIRST_DELAY, None
        rest = POLL_OVER if self._over else max(POLL, min(LONGEST_REST, took * (1 / SHARE - 1)))
        self._send_at = self._clock() + rest

    def failed(self) -> bool:
        """A piece was not accepted; gives whether to try again."""
        now = self._clock()
        self._send_at = now + self._delay
        self._delay = min(2 * self._delay, LONGEST_DELAY)
        if not self._over:
            return True
        if self._give_up_at is None:
            self._give_up_at = now + PATIENCE
        return now <= self._give_up_at

    @property
    def nap(self) -> float:
        """Seconds until it is time to look again."""
        return max(0.0, min(POLL, self._send_at - self._clock()))
