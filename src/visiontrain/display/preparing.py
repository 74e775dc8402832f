"""What happens before a run: reading the data, building the environment."""

from __future__ import annotations

import time

from rich.console import Console, RenderableType

from visiontrain.datasets.progress import IndexProgress
from visiontrain.display.consoles import say
from visiontrain.display.region import Region, bar
from visiontrain.environment.progress import BuildProgress
from visiontrain.wording import clean, duration

__all__ = ["Preparing"]

#: What is over sooner than this is not shown: it would only flicker.
_PATIENCE = 0.3
#: Without a region, a person is told after this many seconds why nothing happens.
_SILENCE = 3.0

_READING = {
    "scan": "Listing files",
    "probe": "Checking images",
    "settle": "Checking objects",
    "write": "Writing the index",
}


class Preparing:
    """Shows the steps before a run.

    Args:
        console: Where lines go.
        region: Where what moves goes.
    """

    def __init__(self, console: Console, region: Region) -> None:
        self._console = console
        self._region = region
        self._index: IndexProgress | None = None
        self._build: BuildProgress | None = None
        self._index_began = self._phase_began = self._build_began = 0.0
        self._told = False

    def indexing(self, progress: IndexProgress) -> None:
        """The dataset is being read."""
        now = time.monotonic()
        if self._index is None:
            self._index_began = now
        if self._index is None or self._index.phase != progress.phase:
            self._phase_began = now
        self._index = progress
        if now - self._index_began > _PATIENCE:
            self._region.show(self._index_line)
        if not self._region.animated and not self._told and now - self._index_began > _SILENCE:
            self._told = True
            say(self._console, f"{_READING[progress.phase]}: {self._count(progress)}")

    def building(self, progress: BuildProgress) -> None:
        """An environment is being built: its cost first, then each phase."""
        first = self._build is None
        another_phase = first or (self._build is not None and self._build.phase != progress.phase)
        if first:
            self._build_began = time.monotonic()
        self._build = progress
        if progress.cost is not None:
            say(self._console, f"Building the environment {progress.environment}: {progress.message}")
        elif progress.warning:
            say(self._console, f"Warning: {progress.message}", "yellow")
        elif progress.phase == "ready":
            self._region.hide()
            took = duration(time.monotonic() - self._build_began)
            say(self._console, f"{progress.message} after {took}.")
        elif another_phase and not self._region.animated:
            say(self._console, f"  {progress.message}")
        if progress.phase != "ready":
            self._region.show(self._build_line)

    def _index_line(self) -> RenderableType:
        at = self._index
        if at is None:
            return ""
        text = self._count(at)
        elapsed = time.monotonic() - self._phase_began
        if at.total and at.done and elapsed > 1:
            text += f"  {duration(elapsed / at.done * (at.total - at.done))} left"
        return bar(_READING[at.phase], at.done, at.total, text)

    def _build_line(self) -> RenderableType:
        at = self._build
        if at is None:
            return ""
        elapsed = duration(time.monotonic() - self._build_began)
        if at.total:
            return bar(clean(at.message), at.done or 0, at.total, f"{at.done or 0}/{at.total}  {elapsed}")
        return bar(clean(at.message), 0, 0, elapsed)

    @staticmethod
    def _count(progress: IndexProgress) -> str:
        return f"{progress.done:,}/{progress.total:,}" if progress.total else f"{progress.done:,}"
