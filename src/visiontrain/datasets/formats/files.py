"""Folders and files as they lie about: hidden ones, links, names in any encoding, image files by their extension."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["File", "files_in", "folders_in", "holds_images", "names_in", "printable", "walk"]

#: Extensions of what the decoder reads (`visiontrain.datasets.decoder`), lower case.
IMAGE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".apng", ".bmp", ".dib", ".webp", ".gif", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif", ".avifs", ".jp2", ".j2k", ".jpx", ".jpf", ".mpo", ".tga"}
)

#: Extensions of images that need to be converted first.
UNSUPPORTED_EXTENSIONS = frozenset(
    {".heic", ".heif", ".hif", ".jxl", ".svg", ".psd", ".psb", ".xcf", ".ai", ".eps", ".exr", ".hdr", ".ico", ".icns"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw", ".dcm", ".jxr", ".wdp"}
)

# What desktops, archivers and file servers leave behind.
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"})


@dataclass(frozen=True)
class File:
    """A file below the root. `size` is in bytes, -1 where it can't be looked at (a link to nothing)."""

    path: str
    kind: Literal["image", "unsupported", "other", "denied"]
    size: int = -1
    mtime_ns: int = 0


def printable(path: str) -> str:
    """The path as text that can be shown and encoded: bytes that are not UTF-8 become backslash escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def folders_in(folder: str) -> list[str]:
    """Names of the folders that lie directly in a folder, sorted; none where it can't be opened."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not _is_litter(entry.name) and _is_folder(entry))
    except OSError:
        return []


def files_in(root: str, folder: str) -> Iterator[File]:
    """The files that lie directly in `folder` (relative to `root`), but for hidden ones."""
    return _read(root, folder, [])


def names_in(folder: str, extension: str) -> Iterator[str]:
    """Names of the files of an extension that lie directly in a folder, but for hidden ones; none is looked at."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.lower().endswith(extension) and not entry.name.startswith("."):
                    yield entry.name
    except OSError:  # whoever lists it says so
        return


def holds_images(folder: str) -> bool:
    """Whether there is an image anywhere in the folder."""
    return any(file.kind == "image" for file in walk(folder, ""))


def walk(root: str, folder: str) -> Iterator[File]:
    """All files in `folder` (relative to `root`) and below, but for hidden ones.

    Links are followed; a folder that was read already is not read again, so that links in a circle end. A folder that
    can't be opened is given as a file of kind ``denied``.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            status = os.stat(os.path.join(root, current))
        except OSError:
            yield File(current, "denied")
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            below: list[str] = []
            yield from _read(root, current, below)
            # Sorted, so that of two links to one folder the same one is read on every machine.
            waiting.extend(sorted(below, reverse=True))


def _read(root: str, folder: str, below: list[str]) -> Iterator[File]:
    """Give the files of one folder as they come; its folders go to `below`."""
    prefix = f"{folder}/" if folder else ""
    try:
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                if _is_litter(entry.name):
                    continue
                if _is_folder(entry):
                    below.append(prefix + entry.name)
                else:
                    yield _file(prefix + entry.name, entry)
    except OSError:
        yield File(folder, "denied")


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _file(path: str, entry: os.DirEntry[str]) -> File:
    extension = os.path.splitext(entry.name)[1].lower()
    if extension in UNSUPPORTED_EXTENSIONS:
        return File(path, "unsupported")
    if extension not in IMAGE_EXTENSIONS:
        return File(path, "other")
    try:
        status = entry.stat()
    except OSError:
        return File(path, "image")
    # A pipe or a device would block whoever opens it.
    regular = stat.S_ISREG(status.st_mode)
    return File(path, "image", status.st_size, status.st_mtime_ns) if regular else File(path, "other")
