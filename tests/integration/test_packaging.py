"""However it is built and installed, each distribution carries what it needs, and the plugins are found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

REPO = Path(__file__).parents[2]
#: Each plugin's framework with the file that holds its licence.
LICENCES = {"hf": REPO / "LICENSE", "timm": REPO / "LICENSE", "yolo": REPO / "plugins" / "visiontrain_yolo" / "LICENSE"}
DEFINITIONS = {
    name: {path.name: path.read_text("utf-8") for path in (REPO / "envs" / name).iterdir() if path.is_file()}
    for name in LICENCES
}
PLUGINS = [f"plugins/visiontrain_{name}" for name in LICENCES]
#: What a clone does not have.
IGNORED = (REPO / ".gitignore").read_text(encoding="utf-8").split()
JUNK = shutil.ignore_patterns(*(line.rstrip("/") for line in IGNORED if not line.startswith("/")))

#: Run by a clean virtualenv's interpreter: what is installed there, without anything of this tree.
LOOK = """
import importlib.resources, json
from importlib.metadata import distribution
from pathlib import Path
from visiontrain.plugin.discovery import discover
plugins = []
for plugin in discover():
    assert plugin.error is None, plugin.traceback or plugin.error
    (manifest,) = plugin.frameworks
    licences = [f for f in distribution(plugin.distribution).files if f.parent.name == "licenses"]
    plugins.append({
        "name": plugin.name,
        "distribution": plugin.distribution,
        "licences": [f.locate().read_text() for f in licences],
        "typed": all((importlib.resources.files(p) / "py.typed").is_file() for p in manifest.packages),
        "definition": {p.name: p.read_text() for p in Path(manifest.environment).iterdir()},
    })
print(json.dumps(plugins))
"""


def call(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command without the settings of the virtualenv that the tests run in; returns its output."""
    kept_out = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "UV_PYTHON"}
    variables = {name: value for name, value in os.environ.items() if name not in kept_out}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=variables, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def uv(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Run uv quietly."""
    return call(find_uv_bin(), "--quiet", *arguments, cwd=cwd)


@pytest.fixture
def clone(tmp_path):
    """The tree as a clone has it: links are links, and nothing that was built is there."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy2(REPO / name, folder)
    for name in ("src", "plugins", "envs", "examples", "tests"):
        shutil.copytree(REPO / name, folder / name, symlinks=True, ignore=JUNK)
    return folder


@pytest.fixture
def python(tmp_path):
    """The interpreter of a clean virtualenv."""
    uv("venv", "--python", sys.executable, tmp_path / "venv")
    return tmp_path / "venv" / "bin" / "python"


def build(source: Path, out: Path, *, through_sdist: bool = False) -> Path:
    """Build a wheel, from the folder itself or from the source distribution that is made of it."""
    uv("build", *([] if through_sdist else ["--wheel"]), "--out-dir", out, source)
    (wheel,) = out.glob("*.whl")
    return wheel


def contents(wheel: Path) -> dict[str, bytes]:
    """The files in a wheel, without the list of their hashes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}


def look(python: Path) -> list[dict[str, object]]:
    """What the plugins that an interpreter finds are and carry."""
    found: list[dict[str, object]] = json.loads(call(python, "-I", "-c", LOOK))
    return found


def assert_are_whole(plugins: list[dict[str, object]]) -> None:
    """Both plugins work and carry definition, lock, licence and type marker."""
    assert sorted(str(plugin["name"]) for plugin in plugins) == sorted(LICENCES)
    for plugin in plugins:
        name = str(plugin["name"])
        assert plugin["distribution"] == f"visiontrain-{name}"
        assert plugin["licences"] == [LICENCES[name].read_text(encoding="utf-8")]
        assert plugin["typed"] is True
        assert plugin["definition"] == DEFINITIONS[name]


def test_definitions_and_licences_are_what_plugins_must_carry():
    assert all(set(definition) >= {"environment.toml", "requirements.lock"} for definition in DEFINITIONS.values())
    assert "Apache License" in LICENCES["timm"].read_text("utf-8")
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in LICENCES["yolo"].read_text("utf-8")


def test_the_core_wheel_holds_every_module_and_no_tests(clone, tmp_path):
    files = contents(build(clone, tmp_path / "dist"))
    source = clone / "src"
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert {name for name in files if name.startswith("visiontrain/")} == expected
    assert {"visiontrain/py.typed", "visiontrain/torchkit/__init__.py", "visiontrain/worker/serve.py"} <= expected
    rest = {name for name in files if not name.startswith("visiontrain/")}
    assert {name.partition("/")[0].partition("-")[0] for name in rest} == {"visiontrain"}
    assert any(name.endswith("licenses/LICENSE") for name in rest)


@pytest.mark.parametrize("source", [".", *PLUGINS, "examples/visiontrain_softmax"])
def test_a_wheel_is_the_same_through_the_source_distribution(source, clone, tmp_path):
    direct = contents(build(clone / source, tmp_path / "direct"))
    assert contents(build(clone / source, tmp_path / "through", through_sdist=True)) == direct
    (sdist,) = (tmp_path / "through").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    # Real files: a link would lead out of the archive. And no tests: they need the tree around them.
    assert all(member.isfile() for member in members)
    assert not [member.name for member in members if "tests" in Path(member.name).parts]


@pytest.mark.parametrize("through_sdist", [False, True], ids=["wheel", "sdist-then-wheel"])
def test_an_installed_wheel(through_sdist, clone, python, tmp_path):
    core = build(clone, tmp_path / "core", through_sdist=through_sdist)
    plugins = [build(clone / source, tmp_path / source, through_sdist=through_sdist) for source in PLUGINS]
    shutil.rmtree(clone)
    uv("pip", "install", "--python", python, core, *plugins)
    assert_are_whole(look(python))


def test_an_editable_install(clone, python):
    editable = [part for source in (".", *PLUGINS) for part in ("--editable", clone / source)]
    uv("pip", "install", "--python", python, *editable)
    assert_are_whole(look(python))


def test_a_clone_installed_with_pip(clone):
    # As the README has it; the clone goes afterwards, so that what was installed stands alone.
    call(sys.executable, "-m", "venv", clone / ".venv", cwd=clone)
    sources = [".", *(f"./{source}" for source in PLUGINS)]
    call(clone / ".venv" / "bin" / "pip", "install", "--quiet", *sources, cwd=clone)
    for name in ("src", "plugins", "envs"):
        shutil.rmtree(clone / name)
    assert_are_whole(look(clone / ".venv" / "bin" / "python"))
    listed = call(clone / ".venv" / "bin" / "visiontrain", "plugins", "--json")
    said = [framework for line in listed.splitlines() for framework in json.loads(line)["frameworks"]]
    assert {framework["name"]: framework["licence"] for framework in said} == {
        "hf": "Apache-2.0",
        "timm": "Apache-2.0",
        "yolo": "AGPL-3.0-or-later",
    }
