import os

import pytest

import visiontrain.environment.files as module
from visiontrain.environment.files import discard, flush_file_system, folder_size, remove_folder, write_whole


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_write_whole_replaces(tmp_path):
    write_whole(tmp_path / "a.json", "1")
    write_whole(tmp_path / "a.json", "2")
    assert (tmp_path / "a.json").read_text() == "2"
    assert listing(tmp_path) == ["a.json"]


def test_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    write_whole(tmp_path / "a.json", "1")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a.json", "2")
    assert (tmp_path / "a.json").read_text() == "1"


def test_flush_file_system(tmp_path):
    flush_file_system(tmp_path)
    with pytest.raises(FileNotFoundError):
        flush_file_system(tmp_path / "missing")


def test_folder_size_counts_hardlinks_once_and_apart(tmp_path):
    (tmp_path / "outside").write_bytes(b"x" * 100_000)
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    empty = folder_size(folder)
    assert empty.bytes == empty.exclusive_bytes
    os.link(tmp_path / "outside", folder / "first")
    os.link(tmp_path / "outside", folder / "deep" / "second")
    (folder / "link").symlink_to(tmp_path)
    linked = folder_size(folder)
    assert 100_000 <= linked.bytes - empty.bytes < 150_000
    assert linked.exclusive_bytes < 50_000
    (folder / "own").write_bytes(b"x" * 100_000)
    assert folder_size(folder).exclusive_bytes - linked.exclusive_bytes >= 100_000


def test_remove(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    remove_folder(tmp_path / "folder")
    remove_folder(tmp_path / "folder")
    discard(tmp_path / "folder")
    assert listing(tmp_path) == []
