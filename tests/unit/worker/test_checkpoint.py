from __future__ import annotations

import os
import zipfile

import pytest
from visiontrain_harness.faults import HOWS, every_fault, file_size_limit

from visiontrain.errors import RunFailedError, StorageError
from visiontrain.worker.checkpoint import CheckpointFiles, read_checkpoint, read_first, write_checkpoint


def text(content):
    return lambda file: file.write(content.encode())


def read_text(path):
    content = path.read_text()
    if not content.endswith("."):
        raise EOFError("no full stop")
    return content


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "checkpoints" / "last.txt"
    write_checkpoint(path, text("one."))
    assert read_checkpoint(path, read_text) == "one."
    assert [file.name for file in path.parent.iterdir()] == ["last.txt"]


def test_the_folder_of_a_run_that_is_gone_does_not_come_back(tmp_path):
    with pytest.raises(StorageError, match=r"the checkpoint .* can't be written: No such file"):
        write_checkpoint(tmp_path / "gone" / "checkpoints" / "last.txt", text("one."))
    assert not list(tmp_path.iterdir())


def test_a_writer_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "last.txt"
    write_checkpoint(path, text("one."))

    def fail(file):
        file.write(b"tw")
        raise KeyError("weights")

    with pytest.raises(KeyError):
        write_checkpoint(path, fail, previous=tmp_path / "previous.txt")
    assert read_checkpoint(path, read_text) == "one."
    assert [file.name for file in tmp_path.iterdir()] == ["last.txt"]


def test_a_disk_that_fills_up_is_told(tmp_path):
    path = tmp_path / "last.txt"
    write_checkpoint(path, text("one."))
    with pytest.raises(StorageError, match="File too large") as caught, file_size_limit(1000):
        write_checkpoint(path, text("x" * 100_000))
    assert caught.value.instruction
    assert read_checkpoint(path, read_text) == "one."


@pytest.mark.parametrize("how", HOWS)
def test_at_whichever_write_the_disk_refuses_a_whole_file_is_left(how, tmp_path):
    def save(root, content):
        folder = root / "checkpoints"
        write_checkpoint(folder / "last.txt", text(content), previous=folder / "previous.txt")

    def prepare(root):
        save(root, "one.")
        save(root, "two.")

    for case in every_fault(how, tmp_path, prepare=prepare, operation=lambda root: save(root, "three.")):
        assert case.error is None or isinstance(case.error, StorageError), case
        folder = case.root / "checkpoints"
        last = read_checkpoint(folder / "last.txt", read_text)
        assert last in ("two.", "three."), case
        assert read_checkpoint(folder / "previous.txt", read_text) in ("one.", "two."), case
        save(case.root, "four.")
        assert read_checkpoint(folder / "previous.txt", read_text) == last, case
        assert sorted(path.name for path in folder.iterdir()) == ["last.txt", "previous.txt"], case


def test_without_hard_links_the_one_before_is_kept_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for content in ("one.", "two.", "three."):
        write_checkpoint(tmp_path / "last.txt", text(content), previous=tmp_path / "previous.txt")
    assert read_checkpoint(tmp_path / "previous.txt", read_text) == "two."
    assert len(list(tmp_path.iterdir())) == 2


def test_what_can_not_be_read_is_named_with_the_reason(tmp_path):
    path = tmp_path / "last.txt"
    with pytest.raises(ValueError, match=r"last\.txt can't be used: it does not exist"):
        read_checkpoint(path, read_text)
    path.write_text("cut")
    with pytest.raises(ValueError, match=r"last\.txt can't be used: EOFError: no full stop"):
        read_checkpoint(path, read_text)


def test_the_checksums_of_an_archive_are_verified_whatever_its_reader_does(tmp_path):
    path = tmp_path / "last.zip"

    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("weights", "0123456789" * 10)

    write_checkpoint(path, write)
    assert read_checkpoint(path, lambda _: "content") == "content"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0123456789", b"0123456780", 1))
    with pytest.raises(ValueError, match=r"last\.zip can't be used: the checksum of weights is wrong"):
        read_checkpoint(path, lambda _: "content")


def test_the_first_that_can_be_read_is_taken_saying_so(tmp_path):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    write_checkpoint(good, text("one."))
    bad.write_text("cut")
    warnings = []
    assert read_first([good, bad], read_text, warn=warnings.append) == (good, "one.")
    assert read_first([], read_text, warn=warnings.append) is None
    assert warnings == []
    assert read_first([bad, good], read_text, warn=warnings.append) == (good, "one.")
    (said,) = warnings
    assert "bad.txt can't be used: EOFError" in said
    assert said.endswith(f"Going on from the checkpoint before it, {good}")
    with pytest.raises(RunFailedError, match=r"no checkpoint of the run can be read: .*bad\.txt") as caught:
        read_first([bad], read_text, warn=warnings.append)
    assert caught.value.instruction == "Start a new run."


class TestFiles:
    def test_the_last_becomes_the_one_before(self, tmp_path):
        files = CheckpointFiles(tmp_path, ".txt")
        for content in ("one.", "two.", "three."):
            files.write_last(text(content))
        files.write_best(text("two."))
        found = {path.name: path.read_text() for path in tmp_path.iterdir()}
        assert found == {"last.txt": "three.", "previous.txt": "two.", "best.txt": "two."}

    def test_a_damaged_file_does_not_take_the_place_of_the_whole_one_before_it(self, tmp_path):
        first = CheckpointFiles(tmp_path, ".txt")
        for content in ("one.", "two."):
            first.write_last(text(content))
        first.last.write_text("cut")
        files, warnings = CheckpointFiles(tmp_path, ".txt"), []
        paths = [str(files.last), str(files.previous)]
        assert files.read_newest(paths, read_text, warn=warnings.append) == (files.previous, "one.")
        assert len(warnings) == 1
        files.write_last(text("two again."))
        assert files.previous.read_text() == "one."
        files.write_last(text("three."))
        assert files.previous.read_text() == "two again."

    def test_a_last_one_that_is_gone_is_told(self, tmp_path):
        files, warnings = CheckpointFiles(tmp_path, ".txt"), []
        write_checkpoint(files.previous, text("one."))
        assert files.read_newest([str(files.previous)], read_text, warn=warnings.append) == (files.previous, "one.")
        assert warnings == [f"{files.last} is gone. Going on from the checkpoint before it, {files.previous}"]
