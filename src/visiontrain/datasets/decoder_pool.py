"""Decoders side by side: each a process, fed with paths, answering in order; one that dies names its file."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal, cast

from visiontrain.datasets import decoder as program
from visiontrain.datasets.pillow import Pillow, host_pillow
from visiontrain.datasets.probe_cache import Probe
from visiontrain.errors import VisiontrainError

__all__ = ["Kind", "decode_all"]

#: What the files are.
Kind = Literal["images", "masks"]

#: Longest time in seconds that one image may take: far above any that training could bear.
TIME_LIMIT = 60.0

_IMAGES_A_PROCESS = 64  # starting one takes as long as decoding about so many small photos
_MOST_PROCESSES = 16
_IN_FLIGHT = 8  # images given to a process ahead of its answers
_IN_FLIGHT_BYTES = 4096  # of paths: far below what a pipe holds, so that writing never waits


@dataclass
class _Job:
    number: int
    path: bytes
    crashes: int = 0


def decode_all(
    files: Iterator[tuple[int, bytes]],
    count: int,
    *,
    pillow: Pillow | None = None,
    kind: Kind = "images",
    processes: int | None = None,
    time_limit: float = TIME_LIMIT,
) -> Generator[tuple[int, bytes, Probe], None, None]:
    """Decode files, in the order in which they get done.

    A file on which the decoder dies is tried once more, alone; where that dies too, its probe says so.

    Args:
        files: A number and the absolute path of each; taken as they are needed.
        count: How many files come, to know how many processes pay off.
        pillow: What decodes; None: our own.
        kind: Of ``masks`` the values of pixels are counted.
        processes: How many to start, in place of that.
        time_limit: Longest time in seconds for one image.

    Yields:
        Number, path and probe of each file.

    Raises:
        VisiontrainError: a decoder could not be started.
    """
    if count:
        pool = _Pool(files, pillow or host_pillow(), kind, time_limit)
        try:
            pool.start(processes or min(_cpus(), _MOST_PROCESSES, -(-count // _IMAGES_A_PROCESS)))
            yield from pool.run()
        finally:
            pool.close()


class _Pool:
    """Hands files to decoders. One thread drives it all."""

    def __init__(self, files: Iterator[tuple[int, bytes]], pillow: Pillow, kind: Kind, time_limit: float) -> None:
        self._pillow = pillow
        self._kind = kind
        self._new = (_Job(number, path) for number, path in files)
        self._again: deque[_Job] = deque()  # given to a decoder that died before it came to them
        self._suspects: deque[_Job] = deque()  # a decoder died on them
        self._time_limit = time_limit
        self._decoders: list[_Decoder] = []
        self._selector = selectors.DefaultSelector()

    def start(self, count: int) -> None:
        for _ in range(count):
            decoder = _Decoder(self._pillow, self._kind, self._time_limit)
            self._decoders.append(decoder)
            self._selector.register(decoder.output, selectors.EVENT_READ, decoder)

    def run(self) -> Iterator[tuple[int, bytes, Probe]]:
        self._fill()
        while any(decoder.jobs for decoder in self._decoders):
            for key, _ in self._selector.select():
                decoder: _Decoder = key.data
                answers = decoder.answers()
                if answers is None:
                    yield from self._bury(decoder)
                else:
                    for answer in answers:
                        job = decoder.jobs.popleft()
                        yield job.number, job.path, _probe(answer)
            self._fill()

    def close(self) -> None:
        self._selector.close()
        for decoder in self._decoders:
            decoder.close()

    def _fill(self) -> None:
        for decoder in self._decoders:
            while not decoder.full:
                job = self._again.popleft() if self._again else next(self._new, None)
                if job is None:
                    break
                decoder.give(job)
        # Alone: what died for want of memory may only have had hungry neighbours.
        if self._suspects and not any(decoder.jobs for decoder in self._decoders):
            self._decoders[0].give(self._suspects.popleft())

    def _bury(self, decoder: _Decoder) -> Iterator[tuple[int, bytes, Probe]]:
        self._selector.unregister(decoder.output)
        self._decoders.remove(decoder)
        decoder.close()
        code = decoder.process.returncode
        if not decoder.ready:
            raise VisiontrainError(
                f"the image decoder could not be started: {decoder.failure or _death(code)}",
                instruction=f"Check that {self._pillow.interpreter} runs and that `import PIL` works in it.",
            )
        if decoder.jobs:
            job = decoder.jobs.popleft()
            job.crashes += 1
            if code == -signal.SIGALRM:
                reason = f"decoding it takes longer than {self._time_limit:g} s"
                yield job.number, job.path, Probe(reason=reason, lasting=False)
            elif job.crashes > 1:
                yield job.number, job.path, Probe(reason=f"the decoder dies of it: {_death(code)}", lasting=False)
            else:
                self._suspects.append(job)
        self._again.extend(decoder.jobs)
        self.start(1)


class _Decoder:
    """One process, and what it was given and has not answered yet."""

    def __init__(self, pillow: Pillow, kind: Kind, time_limit: float) -> None:
        self.jobs: deque[_Job] = deque()
        self.ready = False
        self.failure: str | None = None
        self._rest = b""
        self.process = subprocess.Popen(
            [pillow.interpreter, "-I", "-S", "-X", "utf8", program.__file__, str(time_limit), pillow.folder, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the host
        )
        # Both are there: they were asked for.
        self._input = cast("IO[bytes]", self.process.stdin)
        self.output = cast("IO[bytes]", self.process.stdout)

    @property
    def full(self) -> bool:
        return len(self.jobs) >= _IN_FLIGHT or sum(len(job.path) for job in self.jobs) >= _IN_FLIGHT_BYTES

    def give(self, job: _Job) -> None:
        self.jobs.append(job)
        with contextlib.suppress(BrokenPipeError):  # it died: the end of its answers will say so
            self._input.write(job.path + b"\0")

    def answers(self) -> list[program.Answer] | None:
        """What came since the last time; None once it has ended."""
        data = os.read(self.output.fileno(), 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        answers: list[program.Answer] = [json.loads(line) for line in lines]
        if answers and not self.ready:
            first = answers.pop(0)
            self.ready = "pillow" in first
            self.failure = cast("str | None", first.get("failure"))
        return answers if data else None

    def close(self) -> None:
        self.process.kill()
        with self.process:
            pass


def _probe(answer: program.Answer) -> Probe:
    sha256 = answer.pop("sha256", None)
    return Probe(**cast("dict[str, Any]", answer), sha256=bytes.fromhex(sha256) if isinstance(sha256, str) else None)


def _death(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"it was killed by {name}" + (", likely for want of memory" if name == "SIGKILL" else "")


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
