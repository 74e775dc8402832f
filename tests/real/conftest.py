"""Tests on real data: they need a folder with the data sets, and fail without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# A home's runs take turns on the CPU, unless they are allowed to share it. Those of pytest-xdist's workers are.
os.environ.setdefault("VISIONTRAIN_MAX_RUNS_PER_DEVICE", os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real data sets."""
    folder = os.environ.get("VISIONTRAIN_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.fail("set VISIONTRAIN_REAL_DATA to the folder with the real data sets", pytrace=False)
    return Path(folder)


@pytest.fixture(autouse=True)
def _untouched(real_data):
    """Whatever a test does, the data is as it was."""
    before = _snapshot(real_data)
    yield
    assert _snapshot(real_data) == before


def _snapshot(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}
