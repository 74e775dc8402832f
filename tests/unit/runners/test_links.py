from __future__ import annotations

import threading
from pathlib import Path

import pytest

import visiontrain
from visiontrain.errors import PluginError
from visiontrain.runners.links import link_folder, package_folder


def test_it_holds_the_packages_and_nothing_else(tmp_path):
    folder = link_folder(tmp_path / "links", ["visiontrain_defects"])
    assert sorted(entry.name for entry in folder.iterdir()) == ["visiontrain", "visiontrain_defects"]
    assert (folder / "visiontrain").resolve() == Path(visiontrain.__file__).parent.resolve()
    assert [entry.name for entry in (tmp_path / "links").iterdir()] == [folder.name]


def test_the_same_packages_share_one(tmp_path):
    first = link_folder(tmp_path, ["visiontrain_defects"])
    assert link_folder(tmp_path, ["visiontrain", "visiontrain_defects"]) == first
    assert link_folder(tmp_path, []) != first


def test_threads_that_make_it_at_once(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(link_folder(tmp_path, ["pytest"]))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 16
    assert len(set(made)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [made[0].name]


def test_a_package_is_not_imported(installed):
    installed("crashes_on_import")
    assert package_folder("visiontrain_crashes_on_import").name == "visiontrain_crashes_on_import"


@pytest.mark.parametrize("name", ["not_installed_anywhere", "this", "os.path", "../etc", ""])
def test_what_is_no_package_is_refused_with_what_to_do(name):
    with pytest.raises(PluginError, match="is not an installed package of one folder") as caught:
        package_folder(name)
    assert "manifest" in caught.value.instruction
