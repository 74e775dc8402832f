"""Images that a file names: where they are, as a listing wants them; and images beside them that none names."""

from __future__ import annotations

import os
import sqlite3
import stat
import unicodedata
from collections.abc import Iterable, Iterator

from visiontrain.datasets.formats.base import LeftOut, Listing
from visiontrain.datasets.formats.files import IMAGE_EXTENSIONS, files_in

__all__ = ["Finder", "Named", "look", "place"]


def place(root: str, written: str) -> str:
    """The path as a listing wants it: relative to the root where it lies inside of it, else absolute."""
    whole = os.path.normpath(os.path.join(root, written))
    prefix = root.rstrip("/") + "/"
    return whole.removeprefix(prefix)


def look(root: str, path: str, written: str) -> tuple[str, os.stat_result] | str:
    """The path under which a file is there, and its state; or in words why it is not.

    Args:
        root: The data's folder.
        path: As `place` gives it.
        written: As the list has it.
    """
    reason = "there is no such file"
    for candidate in _spellings(root, path, written):
        try:
            status = os.stat(os.path.join(root, candidate))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as e:  # a NUL is no part of a path
            reason = f"it can't be looked at: {getattr(e, 'strerror', None) or e}"
            continue
        if stat.S_ISREG(status.st_mode):
            return candidate, status
        reason = "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no file that could be read"
    return reason


def _spellings(root: str, path: str, written: str) -> Iterator[str]:
    """As written; composed and decomposed, which one machine changes and another tells apart; from Windows."""
    yield path
    if written != written.strip():
        yield place(root, written.strip())
    yield from (form for form in (unicodedata.normalize(how, path) for how in ("NFC", "NFD")) if form != path)
    if "\\" in written:
        yield place(root, written.replace("\\", "/"))


class Finder:
    """Finds images by their names without the extension.

    Args:
        root: The data's folder.
        extensions: Those to look for, the likeliest first; None: all that images have.
    """

    def __init__(self, root: str, extensions: Iterable[str] | None = None) -> None:
        self._root = root
        # The one that was found last comes first: most data has but one.
        self._extensions = list(extensions or (".jpg", *sorted(IMAGE_EXTENSIONS - {".jpg"})))

    def find(self, folders: Iterable[str], stem: str) -> tuple[str, os.stat_result] | None:
        """Path and state of the image in one of the folders, which are relative to the root; None where none has it."""
        for folder in folders:
            base = os.path.join(folder, stem) if folder else stem
            for extension in (*self._extensions, *(known.upper() for known in self._extensions[:3])):
                try:
                    status = os.stat(os.path.join(self._root, base + extension))
                except (OSError, ValueError):
                    continue
                if stat.S_ISREG(status.st_mode):
                    if extension in self._extensions:
                        self._extensions.remove(extension)
                    self._extensions.insert(0, extension)
                    return base + extension, status
        return None


class Named:
    """The images that lists name, in a temporary database, to tell what is named twice and what is not named."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("CREATE TABLE named (path BLOB, split TEXT, PRIMARY KEY (path, split)) WITHOUT ROWID")
        self._connection.execute("BEGIN")
        self._folders: dict[str, None] = {}

    def close(self) -> None:
        """Forget all."""
        self._connection.close()

    def add(self, split: str, path: str) -> bool:
        """Take an image; False where the split has it already."""
        self._folders[os.path.dirname(path)] = None
        done = self._connection.execute("INSERT OR IGNORE INTO named VALUES (?, ?)", (os.fsencode(path), split))
        return done.rowcount > 0

    def has(self, path: str) -> bool:
        """Whether a split has the image."""
        known = self._connection.execute("SELECT 1 FROM named WHERE path = ? LIMIT 1", (os.fsencode(path),))
        return known.fetchone() is not None

    def leave_out_others(self, root: str, listing: Listing, why: LeftOut = "unlisted") -> None:
        """Tell the listing of images that lie beside those that are named."""
        for folder in self._folders:
            for file in files_in(root, folder):
                if file.kind == "image" and not self.has(file.path):
                    listing.leave_out(file.path, why)
