import io
import os
from collections import defaultdict

import numpy as np
import pytest
import torch
from visiontrain_harness.faults import HOWS, every_fault, file_size_limit

from visiontrain.errors import RunFailedError, StorageError
from visiontrain.torchkit import checkpoint
from visiontrain.torchkit.checkpoint import read_checkpoint, read_first, write_checkpoint

PAYLOAD = {"weights": torch.arange(1000.0), "plain": [1, 2.5, "x", None, True, (1,)], "nested": {"a": {0: b"b"}}}


def test_round_trip_without_an_allow_list(tmp_path):
    path = tmp_path / "deep" / "last.pt"
    write_checkpoint(path, PAYLOAD)
    content = torch.load(path, weights_only=True)
    assert torch.equal(content["weights"], PAYLOAD["weights"])
    assert content["plain"] == PAYLOAD["plain"]
    assert read_checkpoint(path)["nested"] == PAYLOAD["nested"]
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]


@pytest.mark.parametrize(
    "value",
    [np.float64(1), np.zeros(1), defaultdict(list), object(), {(1, 2): 3}, os.fspath, {1, 2}],
    ids=lambda v: type(v).__name__,
)
def test_other_things_are_refused_when_writing(tmp_path, value):
    with pytest.raises(TypeError, match=r"payload\['x'\]"):
        write_checkpoint(tmp_path / "last.pt", {"x": value})
    assert not list(tmp_path.iterdir())


def test_the_one_before_is_kept(tmp_path):
    last, previous = tmp_path / "last.pt", tmp_path / "previous.pt"
    for number in range(3):
        write_checkpoint(last, {"number": number}, previous=previous)
    assert (read_checkpoint(last)["number"], read_checkpoint(previous)["number"]) == (2, 1)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    write_checkpoint(path, {"number": 1})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="No space"):
        write_checkpoint(path, {"number": 2}, previous=tmp_path / "previous.pt")
    assert read_checkpoint(path)["number"] == 1


def test_every_damaged_byte_is_found(tmp_path):
    path = tmp_path / "last.pt"
    write_checkpoint(path, PAYLOAD)
    whole = path.read_bytes()
    start = whole.index(PAYLOAD["weights"].numpy().tobytes()[4:64])
    for offset in range(start, start + 3900, 500):
        damaged = bytearray(whole)
        damaged[offset] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="checksum"):
            read_checkpoint(path)


def test_what_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(ValueError, match="does not exist"):
        read_checkpoint(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x\.pt can't be used: BadZipFile"):
        read_checkpoint(path)
    foreign = io.BytesIO()
    torch.save({"state_dict": {}}, foreign)
    path.write_bytes(foreign.getvalue())
    with pytest.raises(ValueError, match="no checkpoint of this version"):
        read_checkpoint(path)


def test_the_first_that_can_be_read(tmp_path):
    write_checkpoint(tmp_path / "good.pt", {"number": 1})
    (tmp_path / "bad.pt").write_bytes(b"")
    warnings = []
    found = read_first([tmp_path / "bad.pt", tmp_path / "good.pt"], warn=warnings.append)
    assert found is not None
    assert (found[0], found[1]["number"]) == (tmp_path / "good.pt", 1)
    assert "bad.pt" in warnings[0]
    assert read_first([], warn=warnings.append) is None
    with pytest.raises(RunFailedError, match="no checkpoint of the run"):
        read_first([tmp_path / "bad.pt"], warn=warnings.append)


@pytest.mark.parametrize("how", HOWS)
def test_at_whichever_write_the_disk_refuses_a_whole_file_is_left(how, tmp_path):
    def save(root, number):
        write_checkpoint(
            root / "checkpoints" / "last.pt",
            {"number": number, "weights": torch.full((5000,), float(number))},
            previous=root / "checkpoints" / "previous.pt",
        )

    def prepare(root):
        for number in (1, 2):
            save(root, number)

    for case in every_fault(how, tmp_path, prepare=prepare, operation=lambda root: save(root, 3)):
        assert case.error is None or isinstance(case.error, StorageError), case
        folder = case.root / "checkpoints"
        last = read_checkpoint(folder / "last.pt")["number"]
        assert last in (2, 3), case
        assert read_checkpoint(folder / "previous.pt")["number"] in (1, 2), case
        if how in ("once", "full", "torn") and case.point.startswith(("open", "write", "fsync")):
            assert sorted(path.name for path in folder.iterdir()) == ["last.pt", "previous.pt"], case
        save(case.root, 4)
        assert read_checkpoint(folder / "last.pt")["number"] == 4
        assert read_checkpoint(folder / "previous.pt")["number"] == last
        assert sorted(path.name for path in folder.iterdir()) == ["last.pt", "previous.pt"], case


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_a_disk_that_fills_up_while_torch_writes_is_an_error_and_not_the_end(share, tmp_path):
    path = tmp_path / "last.pt"
    payload = {"number": 1, "weights": torch.zeros(300_000)}
    write_checkpoint(path, payload)
    size = path.stat().st_size
    with pytest.raises(StorageError, match="File too large") as caught, file_size_limit(int(size * share)):
        write_checkpoint(path, {**payload, "number": 2}, previous=tmp_path / "previous.pt")
    assert caught.value.instruction
    assert read_checkpoint(path)["number"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_without_hard_links_the_one_before_is_kept_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for number in range(3):
        write_checkpoint(tmp_path / "last.pt", {"number": number}, previous=tmp_path / "previous.pt")
    assert read_checkpoint(tmp_path / "previous.pt")["number"] == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_runs_folder_that_was_removed_does_not_come_back_in_half(tmp_path):
    with pytest.raises(StorageError, match="No such file or directory"):
        write_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt", PAYLOAD)
    assert not (tmp_path / "run").exists()


def test_wherever_a_file_was_cut_short_it_is_told(tmp_path):
    path = tmp_path / "last.pt"
    write_checkpoint(path, PAYLOAD)
    whole = path.read_bytes()
    for length in [*range(0, len(whole) - 1, 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"last\.pt can't be used"):
            read_checkpoint(path)


def test_wherever_a_bit_flips_the_content_is_the_same_or_it_is_told(tmp_path):
    path = tmp_path / "last.pt"
    write_checkpoint(path, PAYLOAD)
    whole = path.read_bytes()
    told = 0
    for offset in range(0, len(whole), 13):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << offset % 8
        path.write_bytes(damaged)
        try:
            found = read_checkpoint(path)
        except ValueError:
            told += 1
        else:  # padding, dates and the like
            assert torch.equal(found["weights"], PAYLOAD["weights"])
            assert {**found, "weights": 0, "format": 0} == {**PAYLOAD, "weights": 0, "format": 0}
    assert told > len(whole) / 13 / 2


class Exploit:
    """What runs code when a file is read without care: it leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path, mark = tmp_path / "last.pt", tmp_path / "mark"
    torch.save({"format": checkpoint.FORMAT, "weights": Exploit(mark)}, path)
    with pytest.raises(ValueError, match="can't be used"):
        read_checkpoint(path)
    with pytest.raises(RunFailedError, match="no checkpoint of the run can be read"):
        read_first([path], warn=lambda _: None)
    assert not mark.exists()
