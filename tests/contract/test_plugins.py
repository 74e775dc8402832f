"""What the plugins of this repository say about themselves agrees with what they are."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from visiontrain.plugin.hookspecs import ENTRY_POINT_GROUP
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.runners.known import KNOWN_PLUGINS, installing, knowing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPO = Path(__file__).parents[2]
PLUGINS = sorted(REPO.glob("plugins/*/pyproject.toml"))


def project(pyproject):
    return tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]


def registered(pyproject, hook):
    found = []
    for target in project(pyproject)["entry-points"][ENTRY_POINT_GROUP].values():
        getattr(importlib.import_module(target), hook, lambda _register: None)(found.append)
    return found


def frameworks(pyproject):
    """The manifests of frameworks that a plugin's entry points register."""
    return registered(pyproject, "register_frameworks")


def manifests(pyproject):
    """All manifests: of frameworks and of trackers."""
    found = [*frameworks(pyproject), *registered(pyproject, "register_trackers")]
    assert found
    return found


def test_there_are_plugins():
    assert PLUGINS


@pytest.mark.parametrize("pyproject", PLUGINS, ids=lambda path: path.parent.name)
class TestPlugin:
    def test_manifest_and_distribution_have_the_same_licence(self, pyproject):
        assert {manifest.licence for manifest in manifests(pyproject)} == {project(pyproject)["license"]}

    def test_another_licence_than_visiontrain_s_is_told_by_its_readme_and_before_it_is_installed(self, pyproject):
        licence, readme = project(pyproject)["license"], (pyproject.parent / "README.md").read_text(encoding="utf-8")
        other = licence != "Apache-2.0"
        for known in (each for each in KNOWN_PLUGINS if each.distribution == project(pyproject)["name"]):
            assert (licence in installing([known])) is other
        assert ("GNU Affero General Public License, version 3" in readme) is other is licence.startswith("AGPL-3.0")

    def test_what_is_said_before_it_is_installed_is_so(self, pyproject):
        for manifest in frameworks(pyproject):
            (known,) = (each for each in KNOWN_PLUGINS if each.name == manifest.name)
            assert (known.distribution, known.licence) == (project(pyproject)["name"], manifest.licence)
            assert known.tasks == set(manifest.tasks)
            if known.models:
                assert all(knowing(pattern) is known for pattern in manifest.models)

    def test_the_licence_text_is_there(self, pyproject):
        text = (pyproject.parent / "LICENSE").read_text(encoding="utf-8")
        if project(pyproject)["license"] == "Apache-2.0":
            assert text == (REPO / "LICENSE").read_text(encoding="utf-8")
        assert text

    def test_the_environment_is_a_link_into_envs(self, pyproject):
        for manifest in manifests(pyproject):
            (link,) = pyproject.parent.glob("src/*/environment")
            assert link.is_symlink()
            assert not link.readlink().is_absolute()
            assert link.resolve() == REPO / "envs" / manifest.name
            assert manifest.environment.resolve() == link.resolve()

    def test_the_packages_that_a_worker_sees_are_the_plugins(self, pyproject):
        (package,) = (path.parent.name for path in pyproject.parent.glob("src/*/plugin.py"))
        for manifest in manifests(pyproject):
            assert set(manifest.packages) == {path.parent.name for path in pyproject.parent.glob("src/*/__init__.py")}
            inside = manifest.tracker if isinstance(manifest, TrackerManifest) else manifest.trainer
            assert inside.startswith(f"{package}.")

    def test_it_is_typed_and_supports_the_same_pythons(self, pyproject):
        assert list(pyproject.parent.glob("src/*/py.typed"))
        assert project(pyproject)["requires-python"] == project(REPO / "pyproject.toml")["requires-python"]
