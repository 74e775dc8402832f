import io
import os
from collections import defaultdict

import numpy as np
import pytest
import torch

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
    "value", [np.float64(1), np.zeros(1), defaultdict(list), object(), {(1, 2): 3}, os.fspath, {1, 2}], ids=repr
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

    monkeypatch.setattr(checkpoint.os, "fsync", fail)
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
