"""The documentation's examples: found by the marker above their fence, and run in the order of their page.

``<!-- run: tiny -->`` runs with a stand-in for timm that needs no packages, ``<!-- run: timm -->`` with timm itself;
``exit=2`` after it is the exit code to expect. ``<!-- file: NAME -->`` writes the block into a file. In a console block
``$`` begins a command; what follows must be among its output, in that order: numbers may differ, and a line that ends
in ``...`` is the beginning of one.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[2]
PAGES = sorted([*REPO.glob("docs/**/*.md"), REPO / "README.md"])

_MARKED = re.compile(
    r"^<!-- (run|file): (\S+)(?: exit=(\d+))? -->\n(?: *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL
)
_NUMBER = re.compile(r"\d[\d.,:]*(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class Example:
    """A marked block. `target` is ``tiny`` or ``timm`` for one that runs, a file's name for one that is written."""

    page: Path
    line: int
    kind: str
    target: str
    exit: int
    language: str
    text: str


def examples(page: Path) -> list[Example]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _MARKED.finditer(text):
        kind, target, code, language, body = match.groups()
        line = text.count("\n", 0, match.start(5)) + 1
        found.append(Example(page, line, kind, target, int(code or 0), language, body))
    assert len(found) == len(re.findall(r"^<!-- (?:run|file): ", text, re.MULTILINE)), (
        f"{page}: a marker without a block"
    )
    return found


def pages_with(target: str) -> list[Path]:
    return [page for page in PAGES if any(example.target == target for example in examples(page))]


def run_page(page: Path, target: str, *, command: Sequence[str], env: Mapping[str, str]) -> None:
    """Run a page's examples of one kind, in the current folder.

    Args:
        page: The page.
        target: ``tiny`` or ``timm``.
        command: What stands for ``visiontrain``.
        env: Environment variables of the commands.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for example in examples(page):
        if example.kind == "file":
            Path(example.target).write_text(example.text, encoding="utf-8")
        elif example.target == target and example.language == "python":
            # The number of empty lines makes a traceback name the page's own line.
            code = compile("\n" * (example.line - 1) + example.text, str(page), "exec")
            exec(code, namespace)
        elif example.target == target:
            assert example.language == "console", f"{page}:{example.line}: {example.language} can't be run"
            run_console(example, command, env)


def run_console(example: Example, command: Sequence[str], env: Mapping[str, str]) -> None:
    for typed, expected in commands(example.text):
        program, *arguments = shlex.split(typed)
        assert program == "visiontrain", f"{example.page}:{example.line}: {program} can't be run"
        done = subprocess.run(
            [*command, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **env},
        )
        where = f"{example.page}:{example.line}: $ {typed}\n{done.stdout}"
        assert done.returncode == example.exit, f"{where}\nexit code {done.returncode}"
        missing = first_missing(expected, done.stdout.splitlines())
        assert missing is None, f"{where}\nnot in this output: {missing}"


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each command with the lines that shall follow."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def first_missing(expected: Sequence[str], output: Sequence[str]) -> str | None:
    """The first expected line that does not come after the ones before it; None where all do."""
    rest = iter([normal(line) for line in output])
    for line in expected:
        wanted, is_beginning = normal(line.rstrip().removesuffix("...")), line.rstrip().endswith("...")
        if not any(got.startswith(wanted) if is_beginning else got == wanted for got in rest):
            return line
    return None


def normal(line: str) -> str:
    """A line without what differs from time to time: numbers, times, ids, folders, spaces, which epoch was the best."""
    line = re.sub(r"\b(\d+ h )?(\d+ min )?[\d.]+ (s|min)\b", "TIME", line.rstrip().removesuffix("  best"))
    line = re.sub(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b", "RUN_ID", line)
    line = re.sub(r"@[0-9a-f]{8,16}\b", "@GENERATION", line)
    line = re.sub(r"(?<![\w/])/\S*/(?=(data|runs)/)", "/", line)
    return " ".join(_NUMBER.sub("#", line).split())


TINY = (sys.executable, str(Path(__file__).parent / "tiny_visiontrain.py"))
