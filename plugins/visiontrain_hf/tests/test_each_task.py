"""What the conformance kit asks of a classifier through real processes, asked of the other tasks in this one.

Their exports are tested with what else each of them does.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from typing import NamedTuple

import pytest
import torch

import visiontrain.torchkit.loop
from visiontrain.errors import DatasetError, DeviceError, WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain.testing.worker.contents import contents
from visiontrain.testing.worker.inprocess import InProcess, at
from visiontrain_hf.trainer import HfTrainer


class Case(NamedTuple):
    """A task, a model of it, and the fixture with its data."""

    task: str
    model: str
    data: str

    def __str__(self) -> str:
        return f"{self.task}-{self.model}"


CASES = [
    Case("detect", "rtdetr-tiny", "objects"),
    Case("segment", "mask2former-tiny", "outlines"),
    Case("semantic", "segformer-tiny", "masks"),
    Case("semantic", "mask2former-tiny", "masks"),
]


#: What is measured anew in each run, wherever it stands.
MEASURED = {"seconds", "images_per_second"}


class Killed(BaseException):
    """Ends a training where it is, as SIGKILL does."""


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request):
    return request.param


@contextlib.contextmanager
def prepared(case, index, folder):
    """A place for runs of three epochs, which look for a stop after every batch."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visiontrain.torchkit.loop, "LOOK_SECONDS", 0)
        yield InProcess(HfTrainer, index, folder, task=case.task, model=case.model, image_size=64, epochs=3)
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def index(case, request):
    return request.getfixturevalue(case.data)


@pytest.fixture(scope="module")
def straight(case, index, tmp_path_factory):
    """A training that nobody disturbed, and what it told. Tests leave it as it is."""
    with prepared(case, index, tmp_path_factory.mktemp("straight")) as harness:
        yield harness, harness.train()[1]


@pytest.fixture
def harness(case, index, tmp_path):
    (tmp_path / "runs").mkdir()
    with prepared(case, index, tmp_path / "runs") as made:
        yield made


def assert_goes_on(harness, straight, first, *, step):
    """Resumed, it is the training that nobody disturbed: its numbers, and every value of its checkpoints."""
    whole, told = straight
    result, second = harness.train(resume=True)
    assert result.status == "completed"
    assert [(event["step"], event["exact"]) for event in second.of("resumed")] == [(step, True)]
    rows = {event["epoch"]: event["values"] for context in (first, second) for event in context.of("metrics")}
    assert list(rows) == [1, 2, 3]
    assert [without_speed(row) for row in rows.values()] == told.rows
    for file in ("best.pt", "last.pt"):
        ours, theirs = contents(harness.path(file=file)), contents(whole.path(file=file))
        assert ours.keys() == theirs.keys()
        assert {name.rpartition(".")[2] for name in ours if ours[name] != theirs[name]} <= MEASURED


def without_speed(row):
    return {name: value for name, value in row.items() if name != "images_per_second"}


def stop(context):
    context.request_stop()


def stop_after_an_epoch(context):
    tell = context.metrics

    def metrics(values, **where):
        tell(values, **where)
        context.request_stop()

    context.metrics = metrics


@pytest.mark.parametrize(
    ("how", "step"),
    [({"before": stop}, 0), ({"interrupt": at("train", 2, 2)}, 5), ({"before": stop_after_an_epoch}, 3)],
    ids=["at the start", "in an epoch", "after an epoch"],
)
def test_a_stopped_training_goes_on(harness, straight, how, step):
    result, first = harness.train(**how)
    assert result.status == "stopped"
    assert [event["step"] for event in first.of("checkpoint") if event["kind"] == "last"][-1] == step
    assert_goes_on(harness, straight, first, step=step)


def test_a_killed_training_goes_on(harness, straight):
    def kill(*seen):
        if seen == ("train", 2, 2):
            raise Killed
        return False

    contexts = []
    with pytest.raises(Killed):
        harness.train(interrupt=kill, before=contexts.append)
    assert_goes_on(harness, straight, contexts[0], step=3)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(harness, straight):
    _, first = harness.train(interrupt=at("train", 2, 2))
    last = harness.path(file="last.pt")
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    assert_goes_on(harness, straight, first, step=3)


def test_the_catalogue_has_the_model(case):
    (model,) = [each for each in HfTrainer().models() if each.name == case.model]
    assert case.task in model.tasks


def test_a_file_that_holds_no_weights_is_refused(harness, tmp_path):
    path = tmp_path / "not-weights.bin"
    path.write_bytes(b"these are no weights" * 100)
    with pytest.raises(WeightsError, match=r"not-weights\.bin"):
        harness.train(weights=Weights("file", str(path)))


def test_a_device_that_is_not_there_is_refused(harness):
    with pytest.raises(DeviceError, match="cuda:99"):
        harness.train(device="cuda:99")


def test_an_image_that_is_gone_is_named(harness, index, tmp_path):
    broken = tmp_path / "data"
    shutil.copytree(index.parent, broken)
    harness.index = broken / index.name
    with contextlib.closing(sqlite3.connect(harness.index)) as database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'root'", [json.dumps(str(broken))])
        database.commit()
    for image in broken.glob("*.png"):
        image.unlink()
    with pytest.raises(DatasetError, match=str(broken)):
        harness.train()
