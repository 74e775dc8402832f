"""Every hook is documented, with its parameters; nothing is documented that is no hook."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from visiontrain.plugin import hookspecs

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
HOOKS = {name: value for name, value in vars(hookspecs).items() if hasattr(value, "visiontrain_spec")}
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_hooks_and_sections_are_the_same():
    assert set(SECTIONS) == set(HOOKS)
    assert HOOKS


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_section_shows_the_signature_and_the_version(name):
    (since,) = re.findall(r"Since (\d+\.\d+)", inspect.getdoc(HOOKS[name]))
    assert f"def {name}{inspect.signature(HOOKS[name])}".replace("'", "") in SECTIONS[name]
    assert f"Since {since}" in SECTIONS[name]


def test_the_page_names_the_entry_point_group():
    assert f"entry-points.{hookspecs.ENTRY_POINT_GROUP}]" in PAGE
