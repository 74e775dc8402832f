"""The package's front door: what it names exists, and opening it costs nothing."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import visiontrain

REFERENCE = sorted((Path(__file__).parents[2] / "docs" / "reference").glob("*.md"))
#: The table that the names are loaded by.
EXPORTS: dict[str, str] = visiontrain._EXPORTS
#: Top-level modules that `import visiontrain` must leave alone: what a worker must not see, and what takes long.
HEAVY = {"PIL", "numpy", "pluggy", "pydantic", "rich", "torch", "typer", "yaml"}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `code`."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_all_is_sorted_and_without_duplicates():
    assert visiontrain.__all__ == sorted(set(visiontrain.__all__))
    assert list(EXPORTS) == sorted(EXPORTS)
    assert {*EXPORTS, "__version__"} == set(visiontrain.__all__)


def test_the_table_agrees_with_what_type_checkers_read():
    tree = ast.parse(Path(visiontrain.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "__future__"]
    read = {alias.name: node.module for node in imports for alias in node.names}
    assert {name: module for name, module in read.items() if module != "typing"} == EXPORTS


def test_every_name_is_public_where_it_lives_and_in_the_reference():
    text = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE)
    for name, module in EXPORTS.items():
        assert name in importlib.import_module(module).__all__
        # By its own name, or as part of a module that is rendered whole.
        assert re.search(rf"[.`]{name}\b|^::: {module}$", text, re.MULTILINE), f"{name} is not in docs/reference"


@pytest.mark.parametrize("name", visiontrain.__all__)
def test_every_name_resolves(name):
    assert getattr(visiontrain, name) is not None
    assert name in dir(visiontrain)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        visiontrain.no_such_name  # noqa: B018


def test_import_loads_nothing_heavy():
    bare = loaded_by("")
    assert not (loaded_by("import visiontrain") - bare) & HEAVY


def test_names_load_no_array_library():
    assert not loaded_by("from visiontrain import *") & {"numpy", "torch"}


def test_the_version_is_the_distribution_version():
    from importlib.metadata import version

    assert visiontrain.__version__ == version("visiontrain")


def test_no_export_has_the_name_of_a_module():
    # The import system puts a module that was loaded in its parent, over a function of that name.
    modules = {module.name for module in pkgutil.iter_modules(visiontrain.__path__)}
    assert not modules & set(visiontrain.__all__)
