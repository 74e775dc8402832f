from __future__ import annotations

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
