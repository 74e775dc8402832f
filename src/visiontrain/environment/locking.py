"""Locks between processes, which free themselves when their holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from visiontrain.errors import EnvironmentBuildError, StorageError
from visiontrain.storage import flock

__all__ = ["UseLock", "exclusive"]


@contextmanager
def exclusive(path: Path, *, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock at `path` alone, waiting for it; `on_wait` is told who holds it, as text that may be empty.

    Raises:
        EnvironmentBuildError: the file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, path):
            if on_wait is not None:
                on_wait(os.pread(descriptor, 64, 0).decode("ascii", errors="replace"))
            _flock(descriptor, fcntl.LOCK_EX, path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode("ascii"), 0)
        try:
            yield
        finally:
            # Said out loud, not left to close: a child forked meanwhile shares the lock.
            _flock(descriptor, fcntl.LOCK_UN, path)
    finally:
        os.close(descriptor)


class UseLock:
    """A lock on a file that many may hold to use what it stands for, or one to remove it.

    The lock belongs to the open file: a child process that inherits the descriptor holds it until it ends too.

    Args:
        path: The file, which exists.
        shared: To use, not to remove.

    Raises:
        FileNotFoundError: the file does not exist, or was removed while the lock was being taken.
        BlockingIOError: it was to be removed, and is in use.
        EnvironmentBuildError: the file system has no locks.
    """

    def __init__(self, path: Path, *, shared: bool) -> None:
        self._descriptor = os.open(path, (os.O_RDONLY if shared else os.O_RDWR) | os.O_CLOEXEC)
        try:
            # A removal holds the lock for a moment only, so that waiting to use it is short.
            mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB
            if not _flock(self._descriptor, mode, path):
                raise BlockingIOError(errno.EWOULDBLOCK, "in use", str(path))
            # Whoever removed it before the lock was had leaves another file here, or none.
            if not os.path.samestat(os.fstat(self._descriptor), path.stat()):
                raise FileNotFoundError(errno.ENOENT, "removed", str(path))
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> UseLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor, to hand to a child process (``pass_fds``)."""
        return self._descriptor

    def close(self) -> None:
        """Give up this process's share; a child that inherited the descriptor keeps its own."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _flock(descriptor: int, mode: int, path: Path) -> bool:
    try:
        return flock(descriptor, mode, path)
    except StorageError as error:
        raise EnvironmentBuildError(error.reason, instruction=error.instruction) from error
