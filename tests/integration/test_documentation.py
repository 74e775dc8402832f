"""The documentation's examples that are run with timm itself: the tutorial, from its first command to its last line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "tests" / "docs"))

import examples  # noqa: E402 - a helper beside the documentation's other tests


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", examples.pages_with("timm"), ids=lambda page: page.stem)
def test_a_page_runs_with_timm(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("visiontrain.session._default", None)
    visiontrain = Path(sys.executable).with_name("visiontrain")
    examples.run_page(page, "timm", command=(str(visiontrain),), env={})
