"""Checkpoints read by the environment that wrote them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from visiontrain.testing.laboratory import Laboratory

__all__ = ["checkpoint_contents"]


def checkpoint_contents(laboratory: Laboratory, paths: Sequence[Path | None]) -> list[dict[str, str]]:
    """Every value in each checkpoint by its place, as text or as a digest; nothing for one that was never written.

    One process reads them all: loading a framework's library takes longer than reading.
    """
    there = [path for path in paths if path is not None]
    code = "from visiontrain.testing.worker.contents import main; main()"
    done = subprocess.run(laboratory.python(code, *map(str, there)), check=False, capture_output=True, text=True)
    if done.returncode:
        names = ", ".join(map(str, there))
        pytest.fail(f"one of the checkpoints {names} can't be read back:\n{done.stderr}", pytrace=False)
    contents: Iterator[dict[str, str]] = iter(json.loads(done.stdout))
    return [next(contents) if path is not None else {} for path in paths]
