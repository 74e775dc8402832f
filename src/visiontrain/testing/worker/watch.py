"""Watches what a worker does: what it writes where, and whom it tries to reach. Reaching anybody is refused."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from visiontrain.protocol.codec import dumps

__all__ = ["FINDINGS", "Watch"]

#: The file in the kit's folder that findings are written to, one JSON object a line.
FINDINGS = "findings.jsonl"

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Files of the system that writing to changes nothing on disk.
_NO_FILES = ("/dev", "/proc")
#: Audit events, and which of their arguments are paths that change; each with the argument that says what folder's
#: descriptor the path is relative to, or None.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
}
#: Audit events of somebody being reached or waited for, and which argument is the address.
_NETWORK = {
    "socket.connect": 1,
    "socket.bind": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


class Watch:
    """Writes down what the interpreter's audit events tell. Forked children are watched too.

    Args:
        folder: The kit's folder.
        may_write: Folders that may be written below.
    """

    def __init__(self, folder: Path, may_write: Iterable[Path]) -> None:
        self._allowed = [os.path.realpath(path) for path in may_write]
        self._fd = os.open(folder / FINDINGS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._inside = threading.local()

    def start(self) -> None:
        """Watch from now on, to the interpreter's end."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" and event not in _CHANGES and event not in _NETWORK:
            return
        if getattr(self._inside, "busy", False):  # finding out where something is may be an event itself
            return
        self._inside.busy = True
        try:
            if event in _NETWORK:
                self._hear_network(event, arguments)
            elif event == "open":
                self._hear_open(*arguments)
            else:
                for number, descriptor in _CHANGES[event]:
                    folder = arguments[descriptor] if descriptor is not None else -1
                    self._hear_change(arguments[number], event, folder if isinstance(folder, int) else -1)
        finally:
            self._inside.busy = False

    def _hear_open(self, path: object, _mode: object, flags: object) -> None:
        if isinstance(flags, int) and flags & _WRITING:
            self._hear_change(path, "open")

    def _hear_change(self, path: object, event: str, folder: int = -1) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):  # a descriptor: told when it was opened
            return
        text = os.fsdecode(os.fspath(path))
        if folder >= 0 and not os.path.isabs(text):  # noqa: PTH117 - cheap
            if not sys.platform.startswith("linux"):  # where no path leads to a descriptor's folder
                return
            text = f"/proc/self/fd/{folder}/{text}"
        real = os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))  # noqa: PTH118, PTH119, PTH120 - cheap
        # Bytecode is written by the interpreter, into environments that are ours.
        if f"{os.sep}__pycache__{os.sep}" in real:
            return
        if not any(real == folder or real.startswith(folder + os.sep) for folder in (*self._allowed, *_NO_FILES)):
            self._tell("write", f"{event} {real}")

    def _hear_network(self, event: str, arguments: tuple[object, ...]) -> None:
        address = arguments[_NETWORK[event]]
        is_path = event.startswith("socket.get") is False and isinstance(address, (str, bytes))
        if is_path or address is None:  # AF_UNIX: a path, or the peer that a socket is connected to already
            return
        self._tell("network", f"{event} {address!r}")
        raise OSError(errno.ENETUNREACH, f"no network in a conformance test ({event} {address!r})")

    def _tell(self, kind: str, what: str) -> None:
        os.write(self._fd, dumps({"kind": kind, "what": what, "where": _caller()}) + b"\n")


def _caller() -> str:
    """The nearest lines of code that are not ours, the standard library's first."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what it is for
    lines: list[str] = []
    while frame is not None and len(lines) < 8:  # noqa: PLR2004
        if frame.f_code.co_filename != __file__:
            lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(lines)
