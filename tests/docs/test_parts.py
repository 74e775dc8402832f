"""Pages that show a file show it whole and as it is: a block below ``<!-- part: PATH -->`` is the file's next part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PAGES = sorted(REPO.glob("docs/**/*.md"))

_PART = re.compile(r"^<!-- part: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown() -> dict[tuple[str, str], str]:
    """What each page shows of each file, without empty lines."""
    found: dict[tuple[str, str], str] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        parts = _PART.findall(text)
        assert len(parts) == text.count("<!-- part: "), f"{page}: a marker without a block"
        for path, part in parts:
            where = (page.relative_to(REPO).as_posix(), path)
            found[where] = found.get(where, "") + without_empty_lines(part)
    return found


def without_empty_lines(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if line.strip())


@pytest.mark.parametrize("where", shown(), ids=lambda where: where[1].rpartition("/")[2])
def test_a_page_shows_the_file_as_it_is(where):
    file = (REPO / where[1]).read_text(encoding="utf-8")
    assert shown()[where] == without_empty_lines(file)


def test_the_tutorial_shows_every_file_of_the_plugin():
    plugin = REPO / "examples" / "visiontrain_softmax"
    files = {path.relative_to(REPO).as_posix() for path in plugin.rglob("*.py")}
    files |= {path.relative_to(REPO).as_posix() for path in plugin.rglob("*.toml")}
    assert {path for page, path in shown() if page == "docs/tutorial/first-plugin.md"} == files


def test_the_tutorials_plugin_is_as_short_as_it_says():
    source = REPO / "examples" / "visiontrain_softmax" / "src"
    lines = [line.strip() for path in source.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]
    assert 0 < len([line for line in lines if line and not line.startswith("#")]) < 60
    assert "is not sixty lines long" in (REPO / "docs" / "tutorial" / "first-plugin.md").read_text(encoding="utf-8")
