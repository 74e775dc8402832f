"""Decoders side by side: each a process, fed with paths, answering in order; one that dies names its file."""

from __future__ import annotations

import importlib.util
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visiontrain.datasets.probe_cache import Probe
from visiontrain.errors import VisiontrainError

__all__ = ["decode_all"]

#: Longest time in seconds that one image may take: far above any that training could bear.
TIME_LIMIT = 60.0

_IMAGES_A_PROCESS = 64  # starting one takes as long as decoding about so many small photos
_MOST_PROCESSES = 16
_IN_FLIGHT = 32  # images given to a process ahead of its answers
_IN_FLIGHT_BYTES = 4096  # of paths: far below what a pipe holds, so that writing never waits


@dataclass
class _Job:
    number: int
    path: bytes
    crashes: int = 0


def decode_all(
    files: Iterator[tuple[int, bytes]], count: int, *, processes: int | None = None, time_limit: float = TIME_LIMIT
) -> Iterator[tuple[int, bytes, Probe]]:
    """Decode files, in the order in which they get done.

    A file whose decoder dies is tried once more alone; where that dies too, its probe says so.

    Args:
        files: A number and the absolute path of each; taken as they are needed.
        count: How many files come, to know how many processes pay off.
        processes: How many to start at the most, in place of that.
        time_limit: Longest time in seconds for one image.

    Yields:
        Number, path and probe of each file.

    Raises:
        VisiontrainError: a decoder could not be started.
    """
    wanted = processes or min(_cpus(), _MOST_PROCESSES, -(-count // _IMAGES_A_PROCESS))
    pool = _Pool(files, time_limit)
    try:
        for _ in range(wanted):
            pool.start_one()
        yield from pool.run()
    finally:
        pool.close()


class _Decoder:
    """One process and what it was given."""

    def __init__(self, time_limit: float) -> None:
        self.jobs: deque[_Job] = deque()
        self.ready = False
        self._rest = b""
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", _program(), str(time_limit), _pillow_folder()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the host
        )

    @property
    def full(self) -> bool:
        return len(self.jobs) >= _IN_FLIGHT or sum(len(job.path) for job in self.jobs) >= _IN_FLIGHT_BYTES

    def give(self, job: _Job) -> None:
        self.jobs.append(job)
        assert self.process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            self.process.stdin.write(job.path + b"\0")
        except BrokenPipeError:
            pass  # it died: the end of its answers says so

    def answers(self) -> list[dict[str, Any]] | None:
        """What came since, or None once it has ended."""
        assert self.process.stdout is not None  # noqa: S101
        data = os.read(self.process.stdout.fileno(), 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None

    def close(self) -> None:
        self.process.kill()
        with self.process:
            pass
