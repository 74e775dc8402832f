from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
from visiontrain_harness.runs import record

from visiontrain.errors import InputError, SpecError, UnknownRunError
from visiontrain.plugin.manifest import Defaults, Option
from visiontrain.rundir.directory import RunDirectories
from visiontrain.runners.trained import TrainedModel, find_trained_model, find_training
from visiontrain.supervisor.record import CheckpointRecord, write_record

BEST, LAST = (CheckpointRecord(f"checkpoints/{kind}.pt", 3, 1.0) for kind in ("best", "last"))


@pytest.fixture
def directories(tmp_path):
    return RunDirectories(tmp_path)


@pytest.fixture
def add(directories):
    def add(run_id, *, kind="train", files=(), **fields):
        path = directories.root / run_id
        (path / "checkpoints").mkdir(parents=True)
        for name in files:
            (path / "checkpoints" / f"{name}.pt").touch()
        kept = dataclasses.replace(record(run_id, **{"status": "completed", **fields}), kind=kind)
        write_record(path / "run.json", kept)
        return path

    return add


class TestFindTraining:
    def test_last_is_the_last_training(self, directories, add):
        training = add("20260101-000000-0000")
        add("20260102-000000-0000", kind="evaluate", parent=training.name)
        assert find_training(directories, "last") == training
        assert directories.find("last").name.startswith("20260102")

    def test_a_prefix_of_a_training_and_its_evaluation_means_the_training(self, directories, add):
        training = add("20260101-000000-0000")
        add("20260101-000009-0000", kind="evaluate", parent=training.name)
        assert find_training(directories, "20260101") == training
        with pytest.raises(UnknownRunError, match="2 runs answer"):
            directories.find("20260101")
        add("20260101-000010-0000")
        with pytest.raises(UnknownRunError, match="2 runs answer to '20260101': 20260101-000010-0000, 20260101-000000"):
            find_training(directories, "20260101")

    def test_another_kind_is_refused_with_its_training(self, directories, add):
        add("20260102-000000-0000", kind="export", parent="20260101-000000-0000")
        with pytest.raises(SpecError, match="is no training: it is of kind export") as caught:
            find_training(directories, "20260102")
        assert caught.value.instruction.endswith("20260101-000000-0000")

    def test_there_is_none(self, directories, add):
        add("20260102-000000-0000", kind="export", parent="gone")
        with pytest.raises(UnknownRunError, match="no run of kind train yet"):
            find_training(directories, "last")


class TestTrainedModel:
    @pytest.mark.parametrize(("recorded", "batch_size"), [(16, 16), ("auto", 8), (None, 8)])
    def test_what_the_training_had_is_used_again(self, recorded, batch_size):
        options = (
            Option(name="workers", type="int", default=None, help="h"),
            Option(name="new", type="int", default=3, help="h"),
        )
        manifest = SimpleNamespace(options=options, defaults=Defaults(epochs=1, batch_size=8))
        spec = {"options": {"workers": 2, "of an older plugin": 1}, "batch_size": recorded}
        kept = dataclasses.replace(record("r"), spec=spec)
        trained = TrainedModel(kept, Path("/c.pt"), SimpleNamespace(manifest=manifest), SimpleNamespace(digest="d"))
        assert trained.options == {"workers": 2, "new": 3}
        assert trained.batch_size == batch_size
        assert trained.is_as_trained


class TestCheckpoint:
    @pytest.mark.parametrize(
        ("wanted", "kept", "words", "instruction"),
        [
            (None, ({}, ()), "has no checkpoint: it is completed", "visiontrain resume r"),
            ("best", ({"status": "failed"}, ()), "has no best checkpoint: it is failed", "visiontrain resume r"),
            ("best", ({"last": LAST}, ("last",)), "has no best checkpoint", "--checkpoint last"),
            ("last", ({"best": BEST}, ("best",)), "has no last checkpoint", "--checkpoint best"),
            (None, ({"best": BEST, "last": LAST}, ("last",)), r"best\.pt is gone", "--checkpoint last"),
            ("last", ({"best": BEST, "last": LAST}, ("best",)), r"last\.pt is gone", "--checkpoint best"),
            (None, ({"best": BEST, "last": LAST}, ()), r"best\.pt is gone", "Put it back."),
        ],
    )
    def test_one_that_is_not_there(self, add, wanted, kept, words, instruction):
        fields, files = kept
        run_dir = add("r", files=files, **fields)
        with pytest.raises(InputError, match=words) as caught:
            find_trained_model(None, run_dir, None, checkpoint=wanted)
        assert instruction in caught.value.instruction
