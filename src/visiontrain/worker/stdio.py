"""Taking the protocol's file descriptors away from everything else in the process.

A `print`, a C library's write to descriptor 1 or a child's output must land in the run's log, and nothing but us may
read the requests. So descriptors 0 and 1 are duplicated at once; then 0 reads from nowhere and 1 is the log.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

from visiontrain.protocol.codec import MAX_LINE

__all__ = ["Pipe", "claim"]

CHUNK = 1 << 16


class Pipe:
    """Both directions of the protocol. Lines in, whole lines out."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._lock = threading.Lock()

    def send(self, line: bytes) -> None:
        """Write a line whole; threads may call it at once.

        Raises:
            OSError: the other side is gone, or this is a forked child.
        """
        with self._lock:
            written = os.write(self._write_fd, line)
            while written < len(line):
                written += os.write(self._write_fd, line[written:])

    def lines(self) -> Iterator[bytes]:
        """Lines as they come, without their newline; ends with the pipe.

        Of a line that is longer than `MAX_LINE` the beginning is given, as soon as it is too long; the rest is left
        out, so that the line after it is whole again.
        """
        buffer = bytearray()
        too_long = False  # the line under way, whose beginning was given
        while chunk := os.read(self._read_fd, CHUNK):
            buffer += chunk
            if b"\n" in chunk:
                *complete, rest = bytes(buffer).split(b"\n")
                yield from complete[too_long:]
                buffer, too_long = bytearray(rest), False
            if too_long:
                buffer.clear()
            elif len(buffer) > MAX_LINE:
                yield bytes(buffer)
                too_long = True
                buffer.clear()

    def close_in_child(self) -> None:
        """Forked children must not hold the pipe: the host would wait for them after the worker's death."""
        for fd in (self._read_fd, self._write_fd):
            os.close(fd)
        self._read_fd = self._write_fd = -1
        self._lock = threading.Lock()  # a thread that the child does not have may hold the one it came with


def claim() -> Pipe:
    """Take descriptors 0 and 1 for the protocol; from then on 0 is empty and 1 goes where 2 goes."""
    pipe = Pipe(os.dup(0), os.dup(1))  # duplicates are not inherited by what the worker executes
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    # The log shall show a line when it is printed, and no odd character may raise.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    os.register_at_fork(after_in_child=pipe.close_in_child)
    return pipe
