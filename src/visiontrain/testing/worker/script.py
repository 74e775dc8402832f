"""What a fake training does, as its test declares it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from visiontrain.protocol.structure import structure

__all__ = ["VARIABLE", "Crash", "Failure", "Hang", "Script", "read_script", "write_script"]

#: The environment variable that names the script's file.
VARIABLE = "VISIONTRAIN_FAKE_SCRIPT"


@dataclass(frozen=True)
class Failure:
    """The trainer raises an exception.

    Args:
        message: Its message.
        error: Its class, by name: one of `visiontrain.errors`, of Python's own, or any other name.
        instruction: What the person can do next; for one of `visiontrain.errors`.
        epoch: When: in this epoch, counted from 1...
        step: ... before this batch, counted from 1.
    """

    message: str = "the fake failed, as it was told to"
    error: str = "RuntimeError"
    instruction: str | None = None
    epoch: int = 1
    step: int = 1


@dataclass(frozen=True)
class Crash:
    """The worker's process ends without an answer: by a signal, or by exit where there is none.

    Args:
        signal: The signal's number, such as `signal.SIGKILL`.
        exit_code: The exit code, without a signal.
        epoch: In this epoch, counted from 1...
        step: ... before this batch, counted from 1.
    """

    signal: int | None = None
    exit_code: int = 1
    epoch: int = 1
    step: int = 1


@dataclass(frozen=True)
class Hang:
    """The trainer does nothing more and does not look at stops: only killing ends it.

    Args:
        epoch: In this epoch, counted from 1...
        step: ... before this batch, counted from 1.
    """

    epoch: int = 1
    step: int = 1


@dataclass(frozen=True)
class Script:
    """A fake training. `rows` are the metrics by epoch, the last one again for further epochs; none: made up.

    `packages` is the folder of the host's Pillow, which tells how large images are.
    """

    models: tuple[str, ...]
    task: str
    steps: int = 4
    step_seconds: float = 0.0
    rows: tuple[Mapping[str, float], ...] = ()
    logs: tuple[str, ...] = ()
    output: str = ""
    failure: Failure | None = None
    crash: Crash | None = None
    hang: Hang | None = None
    packages: str = ""
    versions: Mapping[str, str] = field(default_factory=lambda: {"fake": "1.0"})


def write_script(script: Script, path: Path) -> None:
    """Write the script, whole at every moment: a worker may be reading it."""
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(asdict(script)), encoding="utf-8")  # rows may hold NaN, which the protocol's JSON lacks
    aside.replace(path)


def read_script() -> Script:
    """The script of this worker."""
    return structure(Script, json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8")))
