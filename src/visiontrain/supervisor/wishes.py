"""What any process may ask of a run, whoever started it: a file in its folder, which its supervisor takes away."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Literal

from visiontrain.storage import explained

__all__ = ["STOP_FILE", "Wish", "ask", "take"]

Wish = Literal["stop", "kill"]

#: A file of this name asks the run to stop; with the word ``kill`` in it, to end at once.
STOP_FILE = "stop"


def ask(run_dir: Path, wish: Wish) -> None:
    """Leave a wish.

    Raises:
        StorageError: the folder can't be written to.
    """
    written = run_dir / f".{STOP_FILE}.{os.getpid()}-{threading.get_ident()}"
    try:
        with explained(f"the run {run_dir.name} can't be asked to {'end' if wish == 'kill' else wish}"):
            written.write_text(wish, encoding="ascii")
            written.replace(run_dir / STOP_FILE)
    except BaseException:
        with contextlib.suppress(OSError):
            written.unlink()
        raise


def take(run_dir: Path) -> Wish | None:
    """The wish that somebody has left, once; None where there is none."""
    taken = run_dir / f".{STOP_FILE}.taken"
    try:
        (run_dir / STOP_FILE).replace(taken)  # first: what is asked while this is read is not lost
    except OSError:
        return None
    wish: Wish = "stop"
    with contextlib.suppress(OSError):  # it can't be read, but it is there: that must not fail the run
        wish = "kill" if taken.read_bytes().strip() == b"kill" else "stop"
    with contextlib.suppress(OSError):  # the next one takes its place
        taken.unlink()
    return wish
