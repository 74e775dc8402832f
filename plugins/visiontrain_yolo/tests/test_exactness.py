"""The same seed gives the same weights, bit by bit, whatever interrupted the run."""

from __future__ import annotations

import multiprocessing
import random

import pytest
import torch

BATCHES = 4  # of an epoch, as conftest makes the data


def assert_same(left, right, where=""):
    """Equal bit by bit, NaN included, however deep."""
    if isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype, where
        assert left.shape == right.shape, where
        flat = (x.contiguous().reshape(-1).view(torch.uint8) for x in (left, right))
        assert torch.equal(*flat), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f"{where}/{key}")
    elif isinstance(left, (list, tuple)):
        assert len(left) == len(right), where
        for number, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_same(a, b, f"{where}/{number}")
    else:
        assert left == right, where


def assert_same_run(harness, straight, interrupted):
    one, other = harness.last(straight), harness.last(interrupted)
    for part in ("model", "optimizer", "updates", "rng"):
        assert_same(one[part], other[part], part)
    assert one["position"]["step"] == other["position"]["step"]
    assert_same(harness.best(straight)["model"], harness.best(interrupted)["model"], "best")
    assert harness.best(straight)["epoch"] == harness.best(interrupted)["epoch"]


def at(phase, epoch, step):
    return lambda *seen: seen == (phase, epoch, step)


CASES = {
    "yolo26n, two heads, 2 workers": {"options": {"workers": 2, "close_mosaic": 1}},
    "yolo11n, bf16, musgd, mixup, cutmix, multi-scale, accumulated": {
        "model": "yolo11n",
        "options": {
            "precision": "bf16", "optimizer": "musgd", "mixup": 0.5, "cutmix": 0.5, "multi_scale": 0.5, "degrees": 20,
            "accumulate": 3, "close_mosaic": 1,
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_stopped_at_random_steps(harness, case):
    """Again and again, each time after one to five batches more, those of validation among them."""
    _, straight = harness.train("straight", epochs=3, **case)
    rng, rows, steps = random.Random(str(case)), [], 0
    for attempt in range(40):
        wait = rng.randint(1, 5)
        seen = []

        def interrupt(phase, epoch, step, wait=wait, seen=seen):
            seen.append(phase)
            return len(seen) == wait

        result, context = harness.train("stopped", epochs=3, resume=attempt > 0, interrupt=interrupt, **case)
        rows += context.rows
        if attempt:
            (resumed,) = context.of("resumed")
            assert resumed["exact"], resumed["reason"]
            assert resumed["step"] == steps
        steps = harness.last("stopped")["position"]["step"]
        if result.status == "completed":
            break
    assert result.status == "completed"
    assert attempt > 3
    assert rows == straight.rows
    assert_same_run(harness, "straight", "stopped")


@pytest.mark.parametrize(
    "interrupt",
    [at("train", 1, 1), at("train", 1, BATCHES), at("val", 2, 1), at("val", 1, 2)],
    ids=["first batch", "last batch", "in validation", "last batch of validation"],
)
def test_stopped_at_an_awkward_moment(harness, interrupt, straight):
    result, first = harness.train("stopped", interrupt=interrupt)
    assert result.status == "stopped"
    _, second = harness.train("stopped", resume=True)
    assert first.rows + second.rows == straight.rows
    assert_same_run(harness, straight.params.run_dir, "stopped")


@pytest.mark.parametrize(
    ("task", "model"), [("segment", "yolo11n-seg"), ("pose", "yolo26n-pose"), ("obb", "yolo26n-obb")]
)
def test_every_task_goes_on_as_it_was(harness, task, model):
    case = {"task": task, "model": model, "options": {"precision": "bf16", "mixup": 0.5, "close_mosaic": 1}}
    harness.train("straight", **case)
    for attempt, moment in enumerate([at("train", 1, 3), at("val", 1, 1), at("train", 2, 1), None]):
        harness.train("stopped", resume=attempt > 0, interrupt=moment, **case)
    assert_same_run(harness, "straight", "stopped")


@pytest.fixture(scope="module")
def _runs():
    return {}


@pytest.fixture
def straight(harness, _runs, tmp_path_factory):
    """One run that nobody disturbed, for all the moments."""
    if "straight" not in _runs:
        folder = tmp_path_factory.mktemp("straight")
        _runs["straight"] = harness.train(str(folder / "run"))[1]
    return _runs["straight"]


def test_loader_processes_change_nothing_and_end_with_the_run(harness):
    for workers in (0, 2):
        harness.train(f"{workers}", epochs=1, options={"workers": workers, "mixup": 1.0, "close_mosaic": 0})
        assert multiprocessing.active_children() == []
    assert_same_run(harness, "0", "2")


def test_another_seed_gives_other_weights(harness):
    for seed in (1, 2):
        harness.train(f"{seed}", epochs=1, seed=seed)
    one, other = (harness.last(name)["model"]["model.0.conv.weight"] for name in ("1", "2"))
    assert not torch.equal(one, other)
