"""What a disk refuses, in words: no room, no permission, no locks. Standard library only."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visiontrain.errors import StorageError

__all__ = ["advice", "explained", "flock", "in_words", "is_full", "refused"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def advice(error: OSError) -> str | None:
    """What to do about a write that failed, where the error tells."""
    if error.errno in _FULL:
        return "Free some space on that disk, or set VISIONTRAIN_HOME to a folder on another one."
    if error.errno == errno.EFBIG:
        return "A limit on the size of files is in the way: see `ulimit -f`."
    if error.errno in _FORBIDDEN:
        return "Give yourself the right to write there, or set VISIONTRAIN_HOME to a folder that you can write to."
    if error.errno == errno.EIO:
        return "The disk, or the way to it, fails: the system's log says more."
    return None


def is_full(error: OSError) -> bool:
    """Whether there is no more room: on the disk, or for files of that size."""
    return error.errno in _FULL or error.errno == errno.EFBIG


def in_words(error: OSError) -> str:
    """The system's message and the file that it is about."""
    file = error.filename2 or error.filename  # of two, the one that was to be made
    return f"{error.strerror or error}" + (f": {file}" if file else "")


@contextmanager
def explained(failure: str) -> Iterator[None]:
    """Say what a refusal of the disk means.

    Args:
        failure: What can't be done, as a sentence without its end: "the run's folder can't be made".

    Raises:
        StorageError: in place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise refused(failure, error) from error


def refused(failure: str, error: OSError) -> StorageError:
    """The error that `explained` raises."""
    mend = advice(error) or "Check the disk that VISIONTRAIN_HOME is on."
    return StorageError(f"{failure}: {in_words(error)}", instruction=mend)


def flock(descriptor: int, operation: int, path: Path) -> bool:
    """`fcntl.flock` on the file at `path`; False where another holds the lock and `operation` is not to wait.

    Raises:
        StorageError: the file system has no locks, or they fail.
    """
    try:
        fcntl.flock(descriptor, operation)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK and operation & fcntl.LOCK_NB:
            return False
        raise StorageError(
            f"{path} can't be locked: {error.strerror or error}",
            instruction="The file system may have no locks: set VISIONTRAIN_HOME to a folder on a local disk.",
        ) from error
    return True
