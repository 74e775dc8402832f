"""Checkpoints that were cut short or changed on the disk: told, and the one before is used."""

from __future__ import annotations

import os
import shutil

import pytest

from visiontrain.errors import RunFailedError, StorageError
from visiontrain.torchkit.checkpoint import read_checkpoint

EPOCHS = 4


def cut(share):
    def damage(path):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return damage


def flip(share):
    def damage(path):
        data = bytearray(path.read_bytes())
        data[int(len(data) * share)] ^= 0xFF
        path.write_bytes(data)

    return damage


DAMAGES = {
    "gone": lambda path: path.unlink(),
    "empty": cut(0),
    "a tenth is there": cut(0.1),
    "half is there": cut(0.5),
    "all but the end is there": cut(0.9999),
    "changed near the beginning": flip(0.1),
    "changed in the middle": flip(0.5),
    "changed near the end": flip(0.8),
}


@pytest.fixture(params=DAMAGES.values(), ids=DAMAGES.keys())
def damage(request):
    return request.param


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory):
    """A folder that a stopped run is kept in, for all tests here."""
    return tmp_path_factory.mktemp("stopped")


@pytest.fixture
def stopped(harness, stopped_run):
    """The folder of a run that stopped within its third epoch."""
    folder = harness.folder / "stopped"
    if not (stopped_run / "run").exists():
        harness.train("stopped", epochs=EPOCHS, interrupt=lambda *seen: seen == ("train", 3, 2))
        shutil.copytree(folder, stopped_run / "run")
    else:
        shutil.copytree(stopped_run / "run", folder)
    return folder / "checkpoints"


def resume(harness, **options):
    return harness.train("stopped", epochs=EPOCHS, resume=True, **options)


def test_the_one_before_is_used_and_that_is_said(harness, stopped, damage):
    damage(stopped / "last.pt")
    result, context = resume(harness)
    assert result.status == "completed"
    (resumed,) = context.of("resumed")
    assert (resumed["checkpoint"], resumed["epoch"]) == ("checkpoints/previous.pt", 2.0)
    # Each epoch that was not done by then, once.
    assert [event["epoch"] for event in context.of("metrics")] == [3, 4]
    why = "is gone" if damage is DAMAGES["gone"] else "can't be used"
    assert f"{stopped / 'last.pt'} {why}" in context.logged
    assert f"Going on from the checkpoint before it, {stopped / 'previous.pt'}" in context.logged


def test_a_damaged_one_never_takes_the_place_of_a_whole_one(harness, stopped, damage):
    damage(stopped / "last.pt")
    result, context = resume(harness, before=lambda context: context.request_stop())
    assert result.status == "stopped"
    assert [read_checkpoint(stopped / name)["position"]["epoch"] for name in ("last.pt", "previous.pt")] == [2, 2]
    (written,) = context.of("checkpoint")
    assert (written["path"], written["epoch"]) == ("checkpoints/last.pt", 2.0)


def test_a_disk_that_is_full_meanwhile_leaves_the_one_before(harness, stopped, monkeypatch):
    flip(0.5)(stopped / "last.pt")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device"):
            resume(harness)
    assert read_checkpoint(stopped / "previous.pt")["position"]["epoch"] == 2
    result, _ = resume(harness)
    assert result.status == "completed"


def test_where_both_are_damaged_nothing_is_begun_anew(harness, stopped):
    cut(0.5)(stopped / "last.pt")
    flip(0.5)(stopped / "previous.pt")
    with pytest.raises(RunFailedError, match="no checkpoint of the run can be read") as caught:
        resume(harness)
    assert "last.pt" in caught.value.reason
    assert "previous.pt" in caught.value.reason
    assert "best.pt" in caught.value.instruction
