"""What is loaded into environments stands on the standard library alone, wherever in a module it imports.

import-linter holds the floors among the project's own modules; here the imports are tried and read, so that a third
party that nobody thought of is seen too.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import visiontrain
from visiontrain.environment.definition import EnvironmentDefinition

PACKAGE = Path(visiontrain.__file__).parent
REPO = Path(__file__).parents[2]

#: Modules of each side, and what of visiontrain each side may load. `datasets` is a package without content.
READING = ("datasets.index", "datasets.masks", "datasets.objects")
WORKER = ("errors", "storage", "protocol", "worker", *READING)
SUPERVISOR = ("errors", "storage", "protocol", "supervisor")
#: What the conformance kit and the fake framework run inside of an environment.
TESTING = (*WORKER, "testing.worker")
#: What both halves of a plugin share.
SHARED = ("errors", "hyperparameters", "protocol")
#: What a plugin's worker half may use of visiontrain.
INSIDE = ("errors", "storage", "painting", "hyperparameters", "protocol", "worker", *READING, "torchkit")
#: Packages that need an environment: the host has none of them.
FRAMEWORKS = {"numpy", "safetensors", "timm", "torch", "torchmetrics", "torchvision", "transformers", "ultralytics"}


def modules_of(parts: tuple[str, ...]) -> list[str]:
    """Names of all modules below the parts, without those that are made to be run (``__main__``)."""
    names = ["visiontrain"]
    for part in parts:
        path = PACKAGE.joinpath(*part.split("."))
        files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
        for file in files:
            relative = file.relative_to(PACKAGE.parent).with_suffix("")
            names.append(".".join(relative.parts).removesuffix(".__init__"))
    return sorted(name for name in names if not name.endswith(".__main__"))


def is_within(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a module is one of the parts, below one, or a package on the way to one."""
    parents = {".".join(part.split(".")[:i]) for part in parts for i in range(part.count(".") + 1)}
    name = name.removeprefix("visiontrain").removeprefix(".")
    return name in parents or any(name == part or name.startswith(f"{part}.") for part in parts)


def imports_of(file: Path) -> set[str]:
    """Every module that a file imports when it runs, at its top or inside functions."""
    found, nodes = set(), [ast.parse(file.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            found.add(node.module)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
        else:
            nodes += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize(
    "parts", [WORKER, SUPERVISOR, TESTING, SHARED], ids=["worker", "supervisor", "testing", "shared"]
)
def test_imports_without_site_packages(parts, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    (links / "visiontrain").symlink_to(PACKAGE)
    names = modules_of(parts)
    code = (
        "import sys, json, importlib\n"
        "sys.path.append(sys.argv[1])\n"
        "for name in sys.argv[2:]: importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(links), *names]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert set(names) <= set(loaded)
    foreign = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"visiontrain", "__main__"}
    # The one module of the standard library whose name depends on the platform.
    assert not {name for name in foreign if not name.startswith("_sysconfigdata_")}
    ours = [name for name in loaded if name.partition(".")[0] == "visiontrain"]
    assert [name for name in ours if not is_within(name, parts)] == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [(name, parts) for parts in (WORKER, SUPERVISOR, TESTING, SHARED) for name in modules_of(parts)],
    ids=lambda value: value if isinstance(value, str) else value[-1],
)
def test_imports_inside_functions_stay_on_the_floor_as_well(name, parts):
    path = PACKAGE.parent.joinpath(*name.split("."))
    imported = imports_of(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
    assert {other.partition(".")[0] for other in imported} - sys.stdlib_module_names - {"visiontrain"} == set()
    ours = {other for other in imported if other.partition(".")[0] == "visiontrain"}
    assert {other for other in ours if not is_within(other, parts)} == set()


def plugin_files(*, host: bool) -> list[Path]:
    """Source files of a half of every plugin: ``plugin.py`` is the host's, the others are the worker's."""
    files = [*REPO.glob("plugins/*/src/*/**/*.py"), *REPO.glob("examples/*/src/*/**/*.py")]
    return sorted(file for file in files if (file.name == "plugin.py") == host)


def module_name(file: Path) -> str:
    """A plugin's module, from ``<folder>/<distribution>/src/<package>/...``."""
    return ".".join(file.relative_to(REPO).with_suffix("").parts[3:])


@pytest.mark.parametrize("file", plugin_files(host=True), ids=module_name)
def test_a_plugins_host_half_imports_no_framework(file):
    imported = imports_of(file)
    assert {name.partition(".")[0] for name in imported} & FRAMEWORKS == set()
    assert not any(name.startswith(("visiontrain.torchkit", "visiontrain.worker")) for name in imported)


@pytest.mark.parametrize("file", plugin_files(host=False), ids=module_name)
def test_a_plugins_worker_half_imports_what_its_environment_proves(file):
    source = REPO.joinpath(*file.relative_to(REPO).parts[:3])
    own = {path.name for path in source.iterdir() if path.is_dir()}
    (definition,) = {EnvironmentDefinition.load(path) for path in source.glob("*/environment")}
    provided = {name.partition(":")[0].partition(".")[0] for name in definition.imports}
    for name in imports_of(file):
        top = name.partition(".")[0]
        if top == "visiontrain":
            assert is_within(name, INSIDE), name
        elif top in own:
            assert name != f"{top}.plugin"
        else:
            assert top in sys.stdlib_module_names | provided, name


def test_what_a_logged_model_carries_needs_nothing_of_visiontrain():
    served = REPO / "plugins/visiontrain_mlflow/src/visiontrain_served"
    tops = {name.partition(".")[0] for file in served.glob("*.py") for name in imports_of(file)}
    assert {top for top in tops if top.startswith("visiontrain")} == {"visiontrain_served"}
