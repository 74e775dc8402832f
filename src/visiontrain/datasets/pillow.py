"""Whose Pillow decodes: the host's own, or the one that a framework trains with."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from visiontrain.errors import VisiontrainError

__all__ = ["COMMON_EXTENSIONS", "Pillow", "host_pillow", "host_version", "pillow_of"]

#: Of formats that every build of every Pillow reads alike; for the others it needs libraries that some lack.
COMMON_EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm")

_SECONDS = 60.0
_ASK = (
    "import json, os, PIL; "
    "print(json.dumps([PIL.__version__, os.path.dirname(os.path.dirname(os.path.abspath(PIL.__file__)))]))"
)


@dataclass(frozen=True)
class Pillow:
    """A Pillow and the interpreter that it is installed for.

    Args:
        owner: Whose it is, for messages.
        interpreter: The Python.
        folder: What holds the package PIL.
        version: Its version.
    """

    owner: str
    interpreter: str
    folder: str
    version: str


def host_version() -> str:
    """Our own Pillow's version."""
    return importlib.metadata.version("pillow")


def host_pillow() -> Pillow:
    """Our own.

    Raises:
        VisiontrainError: there is none, or no interpreter to run it with.
    """
    if not sys.executable:
        raise VisiontrainError(
            "there is no Python interpreter to decode images with: sys.executable is empty",
            instruction="Set sys.executable to the path of a Python that can import PIL.",
        )
    spec = importlib.util.find_spec("PIL")
    if spec is None or spec.origin is None:
        raise VisiontrainError("Pillow is not installed", instruction=f"{sys.executable} -m pip install pillow")
    folder = str(Path(spec.origin).parent.parent)
    return Pillow("visiontrain", sys.executable, folder, host_version())


def pillow_of(owner: str, interpreter: Path) -> Pillow | None:
    """That of another interpreter; None where it has none."""
    try:
        done = subprocess.run(
            [str(interpreter), "-I", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # one that does not start is told by whoever trains with it
    version, folder = json.loads(done.stdout)
    return Pillow(owner, str(interpreter), folder, version)
