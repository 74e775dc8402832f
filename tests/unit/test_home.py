from __future__ import annotations

import pytest

from visiontrain.errors import InputError, SpecError
from visiontrain.home import Home


def test_what_is_given_wins_over_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONTRAIN_HOME", str(tmp_path / "variable"))
    assert Home.locate(tmp_path / "given").root == tmp_path / "given"
    assert Home.locate().root == tmp_path / "variable"


def test_without_either_it_is_the_platforms(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONTRAIN_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    root = Home.locate().root
    assert root.name == "visiontrain"
    assert tmp_path in root.parents


def test_relative_ones_are_seen_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert Home.locate("x").root == tmp_path / "x"
    assert Home.locate("~/x").root == tmp_path / "me" / "x"


def test_looking_for_it_makes_nothing(tmp_path):
    home = Home.locate(tmp_path / "home")
    folders = {home.environments, home.runs, home.datasets, home.links}
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {home.root}
    assert not home.root.exists()


def test_what_is_no_path_is_refused():
    with pytest.raises(SpecError, match="home: must be a path, not 3"):
        Home.locate(3)


def test_one_that_is_not_there_yet_is_read_as_empty_and_can_be_made(tmp_path):
    home = Home.locate(tmp_path / "a" / "home")
    home.check_readable()
    assert not home.root.exists()
    home.prepare()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["home"]


@pytest.mark.parametrize("below", ["file", "file/home"])
def test_a_file_is_no_home(tmp_path, below):
    (tmp_path / "file").touch()
    home = Home.locate(tmp_path / below)
    for use in (home.check_readable, home.prepare):
        with pytest.raises(InputError, match="can't be") as caught:
            use()
        assert str(home.root) in caught.value.reason
        assert "VISIONTRAIN_HOME" in caught.value.instruction


@pytest.mark.parametrize("name", ["", "datasets"])
def test_one_that_can_not_be_written_to(tmp_path, monkeypatch, name):
    (tmp_path / "datasets").mkdir()
    locked = tmp_path / name
    monkeypatch.setattr("os.access", lambda path, _mode: path != locked)  # root may write anywhere
    home = Home.locate(tmp_path)
    home.check_readable()
    with pytest.raises(InputError, match="can't be written to: Permission denied") as caught:
        home.prepare()
    assert f"the folder {locked}, " in caught.value.reason
