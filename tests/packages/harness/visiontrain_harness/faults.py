"""Disks that refuse: each write of an operation fails in turn, breaks off, or is where its process dies."""

from __future__ import annotations

import builtins
import errno
import io
import os
import pathlib
import resource
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

__all__ = ["HOWS", "Case", "every_fault", "file_size_limit"]

#: ``once``: one write fails, and the next ones don't. ``full`` and ``read-only``: from one write on, all that take room
#: or all there are. ``torn``: as ``full``, after half of the data. ``killed``: the process ends there, without a word.
HOWS = ("once", "full", "read-only", "torn", "killed")

_ERRORS = {"once": errno.EIO, "full": errno.ENOSPC, "torn": errno.ENOSPC, "read-only": errno.EROFS}
_NEEDS_ROOM = {"open", "write", "pwrite", "fsync", "mkdir", "symlink", "link"}
_BY_PATH = ("mkdir", "unlink", "remove", "rmdir", "chmod", "replace", "rename", "symlink", "link")
_KILLED = 99


@dataclass(frozen=True)
class Case:
    """What a fault left. `point` is the write that failed; `error` what the operation raised, None where it went on."""

    root: Path
    point: str
    error: Exception | None


def every_fault(
    how: str, folder: Path, *, prepare: Callable[[Path], None] = lambda _: None, operation: Callable[[Path], object]
) -> Iterator[Case]:
    """Carry the operation out once to see what it writes, then once for each of those writes, with that one failing.

    Args:
        how: One of `HOWS`.
        folder: Where the operations get a root of their own each; only writes below that count.
        prepare: Is given the root first, without faults.
        operation: Is given the root.
    """

    def root(name: str) -> Path:
        path = folder / name
        path.mkdir(parents=True)
        prepare(path)
        return path

    disk = _Disk(root(f"{how}-none"), how)
    with disk.watched():
        operation(disk.root)
    assert disk.points, "the operation writes nothing"
    for number, point in enumerate(disk.points):
        if how != "torn" or point.startswith(("write", "pwrite")):
            disk = _Disk(root(f"{how}-{number}"), how, fail_at=number)
            yield Case(disk.root, point, disk.run(operation))


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes: the portable way to a disk that is full for C code too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class _Disk:
    """Stands between a process and what it writes below `root`."""

    def __init__(self, root: Path, how: str, fail_at: int | None = None) -> None:
        self.root = root
        self.points: list[str] = []
        self._how = how
        self._fail_at = fail_at
        self._files: dict[int, str] = {}

    def run(self, operation: Callable[[Path], object]) -> Exception | None:
        if self._how == "killed":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of a runner's threads, which the child needs not
                child = os.fork()
            if child == 0:
                try:
                    with self.watched():
                        operation(self.root)
                finally:
                    os._exit(1)  # the point was not reached
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == _KILLED
            return None
        try:
            with self.watched():
                operation(self.root)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error
        return None

    @contextmanager
    def watched(self) -> Iterator[None]:
        patches = {(os, name): self._by_path(name, getattr(os, name)) for name in _BY_PATH}
        patches.update({(os, name): self._by_descriptor(name, getattr(os, name)) for name in ("fsync", "ftruncate")})
        patches.update({(os, name): self._writing(name, getattr(os, name)) for name in ("write", "pwrite")})
        patches[os, "open"] = self._os_open(os.open)
        patches[os, "close"] = self._os_close(os.close)
        patches[io, "open"] = patches[builtins, "open"] = self._io_open(io.open)
        accessor = getattr(pathlib, "_NormalAccessor", None)  # Python 3.10 has its own names for them
        stack = [mock.patch.object(owner, name, new) for (owner, name), new in patches.items()]
        for (owner, name), new in patches.items():
            if accessor is not None and owner in (os, io) and getattr(accessor, name, None) is getattr(owner, name):
                stack.append(mock.patch.object(accessor, name, staticmethod(new)))
        for patch in stack:
            patch.start()
        try:
            yield
        finally:
            for patch in reversed(stack):
                patch.stop()

    def _below(self, path: object) -> str | None:
        if isinstance(path, int):
            return self._files.get(path)
        text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - links stay as they are named
        return text if text.startswith(str(self.root) + os.sep) else None

    def _reach(self, operation: str, path: str | None) -> None:
        """A write is about to be done."""
        if path is None:
            return
        number = len(self.points)
        self.points.append(f"{operation} {os.path.relpath(path, self.root)}")
        if self._fail_at is None or number < self._fail_at:
            return
        if self._how == "killed":
            os._exit(_KILLED)
        if number == self._fail_at or (self._how != "once" and (self._how == "read-only" or operation in _NEEDS_ROOM)):
            code = _ERRORS[self._how]
            raise OSError(code, os.strerror(code), path)

    def _by_path(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if not {key for key, value in options.items() if key.endswith("dir_fd") and value is not None}:
                # Of two names the second is the one that is made.
                self._reach(name, self._below(arguments[1 if name in ("replace", "rename", "symlink", "link") else 0]))
            return real(*arguments, **options)

        return call

    def _by_descriptor(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(fd: int, *arguments: object) -> object:
            self._reach(name, self._files.get(fd))
            return real(fd, *arguments)

        return call

    def _writing(self, name: str, real: Callable[..., int]) -> Callable[..., int]:
        def call(fd: int, data: bytes, *arguments: object) -> int:
            if self._tears(self._files.get(fd)):
                self.points.append("half")
                return real(fd, bytes(data)[: max(1, len(data) // 2)], *arguments)
            self._reach(name, self._files.get(fd))
            return real(fd, data, *arguments)

        return call

    def _tears(self, path: str | None) -> bool:
        """Whether it is now that half of the data fits; the next write is the one that fails."""
        due = path is not None and self._how == "torn" and self._fail_at == len(self.points)
        if due and self._fail_at is not None:
            self._fail_at += 1
        return due

    def _os_open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: str, flags: int, *arguments: object, **options: object) -> int:
            below = None if options.get("dir_fd") is not None else self._below(path)
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._reach("open", below)
            fd = real(path, flags, *arguments, **options)
            if below is not None:
                self._files[fd] = below
            return fd

        return call

    def _os_close(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(fd: int) -> None:
            self._files.pop(fd, None)
            real(fd)

        return call

    def _io_open(self, real: Callable[..., object]) -> Callable[..., object]:
        disk = self

        class Raw(io.FileIO):
            def write(self, data: bytes) -> int:
                path = disk._files.get(self.fileno())
                if disk._tears(path):
                    disk.points.append("half")
                    return super().write(bytes(data)[: max(1, len(data) // 2)])
                disk._reach("write", path)
                return super().write(data)

            def close(self) -> None:
                if not self.closed:
                    disk._files.pop(self.fileno(), None)
                super().close()

        def call(path: str, mode: str = "r", buffering: int = -1, encoding: str | None = None, *rest: object) -> object:
            below = None if isinstance(path, int) else disk._below(path)
            if below is None or not set(mode) & set("wax+"):
                return real(path, mode, buffering, encoding, *rest)
            disk._reach("open", below)
            raw = Raw(below, mode.replace("b", "").replace("t", ""))
            disk._files[raw.fileno()] = below
            if buffering == 0:
                return raw
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding)

        return call
