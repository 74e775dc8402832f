"""Writes that are whole or not there, and sizes of folders."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FolderSize", "discard", "flush_file_system", "flush_folder", "folder_size", "remove_folder", "write_whole"]

_BLOCK_BYTES = 512


@dataclass(frozen=True)
class FolderSize:
    """Bytes that a folder takes on disk; `exclusive_bytes` without files hardlinked from elsewhere."""

    bytes: int
    exclusive_bytes: int


def write_whole(path: Path, text: str) -> None:
    """Replace `path` by a file with `text`, on the disk before it can be seen. One writer at a time."""
    aside = path.with_name(f".{path.name}.part")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Have the folder's entries on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_file_system(path: Path) -> None:
    """Have everything on the file system of `path` on the disk: packages are hundreds of thousands of files."""
    if not sys.platform.startswith("linux"):
        os.sync()
        return
    # Not sync(): it waits for every file system, a network mount that hangs included.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)


def discard(path: Path) -> None:
    """Remove a folder that is of no use to anyone; what can't be removed now is left for the next time."""
    shutil.rmtree(path, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder, which another process may be removing too.

    Raises:
        OSError: something in it can't be removed.
    """
    while path.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def folder_size(path: Path) -> FolderSize:
    """Measure a folder; links are not followed."""
    total = exclusive = 0
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            state = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - called for each file of large trees
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            size = state.st_blocks * _BLOCK_BYTES
            total += size
            if state.st_nlink == 1 or name in folders:
                exclusive += size
    return FolderSize(total, exclusive)
