"""No file names a package registry or a path of the machine it was written on: both are other people's to choose."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]

# Spelled so that this file does not match itself.
REGISTRIES = re.compile(
    rb"pypi[.](org|nvidia)|python[h]osted[.]org|download[.]pytorch[.]org|ana[c]onda[.](org|com)|jfrog[.]io"
    rb"|artif[a]ctory|[.]pkg[.]dev|devp[i]"
    # Whatever serves an index, but for the names that are set aside for examples.
    rb"|https?://(?:[^\s/@]*@)?(?![\w.-]*\b(?:example|invalid)\b)[\w-]+(?:[.][\w-]+)+[^\s\"'<>]*/simp[l]e\b"
)
MACHINE_PATHS = re.compile(rb"(?<![\w.~$}/-])/(?:work|root|tmp|home/\w+|Users/\w+)(?=/|\b(?![\w-]))")


def files() -> list[Path]:
    """Every file that a commit would take, without asking git: a tree without its history is checked as well."""
    ignored = [line.rstrip("/") for line in (REPO / ".gitignore").read_text(encoding="utf-8").splitlines()]
    found, folders = [], [REPO]
    while folders:
        for path in folders.pop().iterdir():
            relative = f"/{path.relative_to(REPO).as_posix()}"
            if path.name == ".git" or any(
                fnmatch.fnmatch(path.name, p) or fnmatch.fnmatch(relative, p) for p in ignored
            ):
                continue
            if path.is_dir() and not path.is_symlink():
                folders.append(path)
            elif path.is_file():
                found.append(path)
    return found


def lines_with(pattern: re.Pattern[bytes]) -> list[str]:
    """``file:line: match`` for every match in the tree."""
    hits = []
    for file in files():
        for number, line in enumerate(file.read_bytes().splitlines(), start=1):
            hits += [f"{file.relative_to(REPO)}:{number}: {m.group().decode()}" for m in pattern.finditer(line)]
    return hits


def test_the_walk_finds_the_tree():
    names = {file.relative_to(REPO).as_posix() for file in files()}
    assert {"pyproject.toml", "src/visiontrain/__init__.py", "tests/contract/test_addresses.py"} <= names
    assert not any("__pycache__" in name for name in names)


def test_no_registry_is_named():
    assert lines_with(REGISTRIES) == []


def test_no_machine_path_is_named():
    assert lines_with(MACHINE_PATHS) == []


@pytest.mark.parametrize(
    "lock",
    sorted([*REPO.glob("envs/*/requirements.lock"), *REPO.glob("examples/**/requirements.lock")]),
    ids=lambda path: path.relative_to(REPO).as_posix(),
)
def test_locks_hold_no_address(lock):
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (REGISTRIES, "see " + "pypi" + ".org/project/x"),
        (REGISTRIES, "https://user:word@mirror.company.net/any/" + "simple"),
        (MACHINE_PATHS, "cd /" + "tmp/x"),
        (MACHINE_PATHS, 'path = "/' + 'work"'),
        (MACHINE_PATHS, "/" + "home/someone/x"),
    ],
)
def test_the_patterns_match(pattern, text):
    assert pattern.search(text.encode())


@pytest.mark.parametrize("text", ["https://mirror.example/simple", "https://a:b@pypi.example.org/simple", "simple.com"])
def test_examples_of_mirrors_are_left_alone(text):
    assert not REGISTRIES.search(text.encode())


@pytest.mark.parametrize("text", ["runs/work/x", "$HOME/tmp/x", "/workspace/x", "tests/tmp", "~/work/x"])
def test_other_paths_are_left_alone(text):
    assert not MACHINE_PATHS.search(text.encode())
