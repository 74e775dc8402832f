import json

import pytest

from visiontrain.errors import StorageError
from visiontrain.torchkit.artifacts import write_json, write_whole


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "artifacts" / "numbers.json"
    write_json(path, {"ü": [1, 0.5]})
    assert json.loads(path.read_bytes().decode("ascii")) == {"ü": [1, 0.5]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert [each.name for each in path.parent.iterdir()] == ["numbers.json"]
    assert json.loads(path.read_text()) == {"ü": [1, 0.5]}


def test_what_the_disk_refuses_leaves_nothing_half(tmp_path):
    path = tmp_path / "artifacts" / "picture.svg"
    path.mkdir(parents=True)  # where no file can come to lie
    with pytest.raises(StorageError, match=r"picture\.svg can't be written"):
        write_whole(path, b"<svg/>")
    assert [each.name for each in path.parent.iterdir()] == ["picture.svg"]


def test_a_folder_of_a_run_that_was_removed_does_not_come_back(tmp_path):
    with pytest.raises(StorageError):
        write_whole(tmp_path / "gone" / "artifacts" / "a", b"")
    assert not (tmp_path / "gone").exists()
