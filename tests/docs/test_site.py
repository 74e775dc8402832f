"""The site as it is built: strict, whole, and without anything to fetch from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import visiontrain as vt

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, check=False, cwd=REPO, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("cls", [vt.Session, vt.Run, vt.RunHandle], ids=lambda cls: cls.__name__)
def test_every_public_member_is_in_the_reference(site, cls):
    page = (site / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    public = [name for name, value in vars_of(cls).items() if not name.startswith("_") and hasattr(value, "__doc__")]
    described = set(re.findall(rf'id="visiontrain\.{cls.__name__}\.(\w+)"', page))
    assert described == {name for name in public if callable(vars_of(cls)[name]) or is_property(cls, name)}


def vars_of(cls: type) -> dict[str, object]:
    """What a class and those above it define."""
    found: dict[str, object] = {}
    for each in reversed(cls.__mro__[:-1]):
        found |= vars(each)
    return found


def is_property(cls: type, name: str) -> bool:
    return type(vars_of(cls)[name]).__name__ in ("property", "cached_property")


def test_every_function_is_in_the_reference(site):
    page = (site / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    functions = [name for name in vt.__all__ if vt._EXPORTS.get(name) == "visiontrain.api"]
    assert [name for name in functions if f'id="visiontrain.api.{name}"' not in page] == []


def test_a_reader_fetches_nothing_from_elsewhere(site):
    fetched = re.compile(r"<(?:script|img|iframe|source)\b[^>]*src=[\"']?https?:|<link\b[^>]*href=[\"']?https?:")
    pages = sorted(site.glob("**/*.html"))
    assert pages
    assert [page for page in pages if fetched.search(page.read_text(encoding="utf-8"))] == []
