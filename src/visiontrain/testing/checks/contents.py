"""Checkpoints read by the environment that wrote them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from visiontrain.testing.laboratory import Laboratory

__all__ = ["checkpoint_contents"]


def checkpoint_contents(laboratory: Laboratory, path: Path | None) -> dict[str, str]:
    """Every value in a checkpoint by its place, as text or as a digest."""
    if path is None:
        return {}
    code = "from visiontrain.testing.worker.contents import main; main()"
    done = subprocess.run(laboratory.python(code, str(path)), check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"the checkpoint {path} can't be read back:\n{done.stderr}", pytrace=False)
    contents: dict[str, str] = json.loads(done.stdout)
    return contents
