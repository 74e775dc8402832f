"""What a build says while it goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from visiontrain.environment.definition import EnvironmentDefinition

__all__ = ["BuildCost", "BuildProgress", "Phase", "ProgressCallback", "UvProgress", "format_size"]

Phase = Literal["waiting-for-lock", "interpreter", "creating", "downloading", "installing", "checking", "ready"]


@dataclass(frozen=True)
class BuildCost:
    """What a build will cost: number of packages; bytes with an empty cache (less where uv's cache has packages)."""

    packages: int
    download_bytes: int
    disk_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class BuildProgress:
    """One step of a build.

    Args:
        environment: The environment's name.
        phase: What is going on.
        message: The same in words, for a person.
        done: How many packages are through the phase, where that is known.
        total: Out of how many.
        cost: What the build will cost; with the first event after the lock.
        warning: Whether the message is about something that may go wrong.
    """

    environment: str
    phase: Phase
    message: str
    done: int | None = None
    total: int | None = None
    cost: BuildCost | None = None
    warning: bool = False


ProgressCallback = Callable[[BuildProgress], None]


class UvProgress:
    """Turns uv's messages into progress; call it with each line.

    Args:
        definition: The environment that is being built.
        total: How many packages will be installed.
        report: Gets the progress.
    """

    def __init__(self, definition: EnvironmentDefinition, *, total: int, report: ProgressCallback) -> None:
        self._environment = definition.name
        self._total = total
        self._report = report
        self._announced = 0
        self._downloaded = 0

    def __call__(self, line: str) -> None:
        """Take one line of uv's standard error."""
        text = line.strip()
        if text.startswith("Downloading "):
            self._announced += 1
            self._say("downloading", text, done=self._downloaded, total=self._announced)
        elif text.startswith("Downloaded "):
            self._downloaded += 1
            self._say("downloading", text, done=self._downloaded, total=self._announced)
        elif text.startswith("Prepared "):
            self._say("installing", text, done=0, total=self._total)
        elif match := re.match(r"Installed (\d+) package", text):
            self._say("installing", f"{text}; compiling bytecode", done=int(match[1]), total=self._total)
        elif text.startswith("Bytecode compiled "):
            self._say("installing", text, done=self._total, total=self._total)
        elif text.startswith("warning:") and "does not contain any dependencies" not in text:
            self._report(
                BuildProgress(self._environment, "installing", text.removeprefix("warning:").strip(), warning=True)
            )

    def _say(self, phase: Phase, message: str, *, done: int, total: int) -> None:
        self._report(BuildProgress(self._environment, phase, message, done=done, total=total))


def format_size(size: int) -> str:
    """Bytes as a person reads them: "812 MB", "2.4 GB"."""
    if size >= 10**9:
        return f"{size / 10**9:.1f} GB"
    return f"{size / 10**6:.0f} MB" if size >= 10**6 else f"{size / 10**3:.0f} kB"
