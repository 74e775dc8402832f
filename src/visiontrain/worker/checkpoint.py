"""Checkpoints on disk, in whatever format: written whole or not at all, checked when read, the one before kept."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from visiontrain.errors import RunFailedError
from visiontrain.storage import explained

__all__ = ["CheckpointFiles", "read_checkpoint", "read_first", "write_checkpoint"]

T = TypeVar("T")


def write_checkpoint(path: Path, write: Callable[[IO[bytes]], object], *, previous: Path | None = None) -> None:
    """Write a file so that `path` is whole at every moment, also when the machine stops.

    Args:
        path: Replaced where it exists.
        write: Writes the content into the file that it is given.
        previous: Where an earlier file of that name is kept.

    Raises:
        StorageError: the disk did not take it; what was at `path` is still there, and whole.
    """
    temporary = path.with_name(path.name + ".tmp")
    with explained(f"the checkpoint {path} can't be written"):
        # Its parent alone: where the run's folder was removed, half of it must not come back.
        path.parent.mkdir(exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if previous is not None and path.exists():
                _keep(path, previous)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):  # half a checkpoint would keep a full disk full
                temporary.unlink()
            raise
        _sync_folder(path.parent)


def _keep(path: Path, previous: Path) -> None:
    """Give the file a second name in place of the one that `previous` names."""
    link = previous.with_name(previous.name + ".tmp")
    try:
        link.unlink(missing_ok=True)
        os.link(path, link)
    except OSError:  # no hard links here: for an instant there is no file at `path`
        path.replace(previous)
    else:
        link.replace(previous)
        link.unlink(missing_ok=True)  # both names were the same file already


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_checkpoint(path: Path, read: Callable[[Path], T]) -> T:
    """Read a file; of an archive (torch, NumPy's ``npz``) the checksums are verified before.

    Args:
        path: The file.
        read: Gives the content. Whatever it raises means that the content can't be used.

    Raises:
        ValueError: missing, damaged, or another kind of file; the message says which.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                # torch's reader, for one, does not compare the checksums that its writer stores
                damaged = archive.testzip()
            if damaged is not None:
                raise ValueError(f"the checksum of {damaged} is wrong")
        return read(path)
    except FileNotFoundError as e:
        raise ValueError(f"{path} can't be used: it does not exist") from e
    except Exception as e:  # readers raise many kinds on damaged bytes
        reason = str(e) if type(e) is ValueError else f"{type(e).__name__}: {e}"
        raise ValueError(f"{path} can't be used: {reason}") from e


def read_first(
    paths: Sequence[Path],
    read: Callable[[Path], T],
    *,
    warn: Callable[[str], None],
    instruction: str = "Start a new run.",
) -> tuple[Path, T] | None:
    """The first of `paths` that can be read. None where `paths` is empty.

    Args:
        paths: Best choice first.
        read: As `read_checkpoint` takes it.
        warn: Is told which were passed over, why, and which one is used instead.
        instruction: What to do where none can be read.

    Raises:
        RunFailedError: none of them can be read.
    """
    reasons = []
    for path in paths:
        try:
            found = path, read_checkpoint(path, read)
        except ValueError as e:
            reasons.append(str(e))
            continue
        if reasons:
            warn(f"{'; '.join(reasons)}. Going on from the checkpoint before it, {path}")
        return found
    if not paths:
        return None
    raise RunFailedError("no checkpoint of the run can be read: " + "; ".join(reasons), instruction=instruction)


class CheckpointFiles:
    """The files of a run's checkpoints: ``last``, the one before it as ``previous``, and ``best``.

    Args:
        folder: Where they lie.
        suffix: What their names end with, dot included.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self.last = folder / f"last{suffix}"
        self.previous = folder / f"previous{suffix}"
        self.best = folder / f"best{suffix}"
        self._last_is_whole = True

    def write_last(self, write: Callable[[IO[bytes]], object]) -> None:
        """Write ``last``; what it was becomes ``previous``.

        Raises:
            StorageError: the disk did not take it.
        """
        # A damaged file must not take the place of the whole one before it.
        write_checkpoint(self.last, write, previous=self.previous if self._last_is_whole else None)
        self._last_is_whole = True

    def write_best(self, write: Callable[[IO[bytes]], object]) -> None:
        """Write ``best``.

        Raises:
            StorageError: the disk did not take it.
        """
        write_checkpoint(self.best, write)

    def read_newest(
        self,
        paths: Sequence[str],
        read: Callable[[Path], T],
        *,
        warn: Callable[[str], None],
        instruction: str = "Start a new run.",
    ) -> tuple[Path, T] | None:
        """The first of a request's `paths` that can be read, as `read_first` gives it.

        Raises:
            RunFailedError: none of them can be read.
        """
        found = read_first([Path(path) for path in paths], read, warn=warn, instruction=instruction)
        if found is not None and found[0] != self.last:
            self._last_is_whole = False
            if not self.last.exists():
                warn(f"{self.last} is gone. Going on from the checkpoint before it, {found[0]}")
        return found
