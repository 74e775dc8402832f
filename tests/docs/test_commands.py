"""Every command that a page shows is one, with options that it has; also where the example can't be run here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from visiontrain.cli.main import app

REPO = Path(__file__).parents[2]
PAGES = sorted(
    [*REPO.glob("*.md"), *(page for at in ("docs", "examples", "plugins") for page in REPO.glob(f"{at}/**/*.md"))]
)


def lines(text: str) -> list[str]:
    """What stands after ``visiontrain`` in the shell's blocks, up to the command's end."""
    blocks = re.findall(r"^```(?:console|bash|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"\bvisiontrain ([a-z-][^\n|&;#\\]*)", "\n".join(blocks))


def unknown(line: str) -> set[str]:
    """Words that are no command, and options that the command does not have."""
    said, command = shlex.split(line), typer.main.get_command(app)
    while commands := getattr(command, "commands", {}):
        if said and said[0] in commands:
            command = commands[said.pop(0)]
        elif "list" in commands and (not said or said[0].startswith("-")):  # a group that lists without a command
            command = commands["list"]
        else:
            break
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in said if word.startswith("-")}
    return (given - options) | (set(said[:1]) - given if commands else set())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPO).as_posix())
def test_commands_of_a_page_are_there(page):
    found = {line: unknown(line) for line in lines(page.read_text(encoding="utf-8"))}
    assert {line: words for line, words in found.items() if words} == {}


def test_what_is_no_command_is_found():
    text = (
        "```console\n$ visiontrain data sample shapes\n$ visiontrain stop last --soon && visiontrain runs --json\n```\n"
    )
    assert [unknown(line) for line in lines(text)] == [{"data"}, {"--soon"}, set()]


def test_there_are_commands_to_look_for():
    assert sum(len(lines(page.read_text(encoding="utf-8"))) for page in PAGES) > 30
