from __future__ import annotations

import os

import pytest

from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.manifest import Manifest
from visiontrain.protocol.tasks import Task
from visiontrain.runners.routing import Framework


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """The package of a plugin, where it is written."""
    folder = tmp_path / "edited_here"
    (folder / "below").mkdir(parents=True)
    for name in ("__init__.py", "names.py", "below/__init__.py"):
        (folder / name).write_text("NAMES = ('one',)\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def edition(tmp_path, *, editable, packages=("edited_here",)):
    manifest = Manifest(
        name="edited", summary="s", licence="MIT", tasks=(Task.classify,), models=("one",), environment=tmp_path,
        trainer="edited_here:C", packages=packages,
    )  # fmt: skip
    plugin = Plugin(name="edited", distribution="edited", version="1.2", editable=editable, frameworks=(manifest,))
    return Framework(manifest, plugin).edition


def test_a_plugin_that_is_used_where_it_is_written_has_another_one_with_each_change(tmp_path, sources):
    found = {edition(tmp_path, editable=True)}
    assert edition(tmp_path, editable=True) in found
    (sources / "names.py").write_text("NAMES = ('one', 'two')\n")
    found.add(edition(tmp_path, editable=True))
    (sources / "below" / "more.py").write_text("")
    found.add(edition(tmp_path, editable=True))
    (sources / "names.py").write_text("NAMES = ('one', 'six')\n")  # as long as before
    os.utime(sources / "names.py", ns=(1, 1))
    found.add(edition(tmp_path, editable=True))
    assert len(found) == 4
    assert all(each.startswith("1.2") for each in found)


def test_what_is_beside_its_sources_makes_no_difference(tmp_path, sources):
    before = edition(tmp_path, editable=True)
    (sources / "__pycache__").mkdir()
    (sources / "__pycache__" / "names.cpython-311.pyc").write_bytes(b"")
    assert edition(tmp_path, editable=True) == before


def test_that_of_an_installed_one_is_its_version(tmp_path, sources):
    assert edition(tmp_path, editable=False) == "1.2"
    (sources / "names.py").write_text("")
    assert edition(tmp_path, editable=False) == "1.2"


def test_a_package_that_is_not_there_is_told_when_it_is_used_not_here(tmp_path):
    assert edition(tmp_path, editable=True, packages=("never_was_here",)).startswith("1.2")
