"""The command line's words, as ``--help`` shows them: scripts and habits are built on them.

After a change that is meant: ``python tests/contract/test_cli_help.py`` writes the file anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from visiontrain.cli.main import app

GOLDEN = Path(__file__).with_name("cli_help.txt")
MAIN = "import sys; sys.argv[0] = 'visiontrain'; from visiontrain.cli.main import main; main()"
#: What versions of typer do differently beside the layout: an argument's type after its name, and brackets around it.
VERSIONS = re.compile(r" <\w+>|[][{}]")


def commands(command=None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, by its words."""
    command = command or typer.main.get_command(app)
    yield path
    for name in sorted(getattr(command, "commands", {})):
        yield from commands(command.commands[name], (*path, name))


def shown(path: tuple[str, ...]) -> str:
    """What a person sees, in 80 columns and without colours."""
    variables = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *path, "--help"], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return f"$ visiontrain {' '.join((*path, '--help'))}\n{done.stdout.strip()}\n"


def golden() -> dict[str, str]:
    """The texts by their first line."""
    parts = re.split(r"^(?=\$ )", GOLDEN.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {part.splitlines()[0]: part.strip() + "\n" for part in parts if part.strip()}


def words(text: str) -> list[str]:
    """The text without what is typer's."""
    return VERSIONS.sub("", text).split()


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_help_is_what_it_was(path):
    text = shown(path)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert words(text) == words(golden()[text.splitlines()[0]])


def test_no_command_is_gone():
    assert list(golden()) == [f"$ visiontrain {' '.join((*path, '--help'))}" for path in commands()]


if __name__ == "__main__":
    GOLDEN.write_text("\n".join(shown(path) for path in commands()), encoding="utf-8")
