"""The README's two commands can be pasted as they are, and are what CI runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["train", "tests"])
def test_a_command_is_one_line_below_its_marker(name):
    (block,) = re.findall(rf"^<!-- command: {name} -->\n```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert block.count("\n") == 1
    assert block.startswith("python3 -m venv .venv && ")
    assert "sudo" not in block


def test_ci_takes_its_command_from_the_readme():
    script = (REPO / ".ci" / "run").read_text(encoding="utf-8")
    assert "<!-- command: tests -->" in script
    assert (REPO / ".ci" / "run").stat().st_mode & 0o111
