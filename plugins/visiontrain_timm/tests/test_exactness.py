"""The same seed gives the same weights, bit by bit, whatever interrupted the run."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from visiontrain.hyperparameters.optimizers import OPTIMIZERS

CHILD = Path(__file__).with_name("child.py")
BATCHES = 5  # of an epoch, as conftest makes the data


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
    "resnet, fp32": {"options": {}},
    "resnet, fp32, 2 workers": {"options": {"workers": 2}},
    "resnet, bf16": {"options": {"precision": "bf16"}},
    "resnet, bf16, 2 workers": {"options": {"precision": "bf16", "workers": 2}},
    "vit with dropout and drop path, bf16, 2 workers": {
        "model": "test_vit",
        "options": {"precision": "bf16", "workers": 2, "drop_rate": 0.2, "drop_path_rate": 0.2},
    },
    "efficientnet with dropout and drop path, clipped": {
        "model": "test_efficientnet",
        "options": {"drop_rate": 0.2, "drop_path_rate": 0.2, "clip_grad": 1.0},
    },
    "resnet, accumulated, averaged, mixup and cutmix, sgd, 2 workers": {
        "options": {
            "optimizer": "sgd", "accumulate": 3, "ema_decay": 0.9, "mixup": 0.4, "cutmix": 1.0, "clip_grad": 1.0,
            "primary_metric": "val_loss", "workers": 2,
        },
    },
    "vit, balanced, weighted, strong augmentation, layer decay, lion, averaged": {
        "model": "test_vit",
        "options": {
            "optimizer": "lion", "balanced_sampling": True, "class_weights": "circle=2,square=0.5", "mixup": 0.4,
            "mix_probability": 0.5, "augmentation": "strong", "layer_decay": 0.7, "ema_decay": 0.99,
            "schedule": "multistep", "precision": "bf16",
        },
    },
}  # fmt: skip


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def test_same_seed_same_weights(harness, case):
    harness.train("one", **case)
    harness.train("other", **case)
    assert_same_run(harness, "one", "other")


def test_another_seed_gives_other_weights(harness):
    harness.train("one", epochs=1)
    harness.train("other", epochs=1, seed=4)
    assert not torch.equal(harness.last("one")["model"]["fc.weight"], harness.last("other")["model"]["fc.weight"])


def test_loader_processes_change_nothing(harness):
    for workers in (0, 1, 2):
        harness.train(f"{workers}", options={"workers": workers})
    assert_same_run(harness, "0", "1")
    assert_same_run(harness, "0", "2")


def test_loading_by_spawned_processes_changes_nothing(harness, monkeypatch):
    harness.train("forked", epochs=1, options={"workers": 1})
    monkeypatch.setattr("visiontrain.torchkit.data.sys.platform", "darwin")
    harness.train("spawned", epochs=1, options={"workers": 1})
    assert_same_run(harness, "forked", "spawned")


def test_stopped_at_random_steps(harness, case):
    """Again and again, each time after one to four batches more."""
    _, straight = harness.train("straight", epochs=3, **case)
    rng, rows, steps = random.Random(str(case)), [], 0
    for attempt in range(40):
        wait = rng.randint(1, 4)
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


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in ("adamw", "sgd", "lion")])
def test_every_optimizer_goes_on_as_it_was(harness, optimizer):
    options = {"optimizer": optimizer}
    harness.train("straight", options=options)
    for attempt in range(2):
        harness.train("stopped", resume=attempt > 0, interrupt=at("train", attempt + 1, 2), options=options)
    harness.train("stopped", resume=True, options=options)
    assert_same_run(harness, "straight", "stopped")


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_stopped_between_batches_of_one_step(harness, batch):
    options = {"accumulate": 3, "ema_decay": 0.9}
    harness.train("straight", options=options)
    harness.train("stopped", interrupt=at("train", 2, batch), options=options)
    under_way = harness.last("stopped")["updates"]
    assert (under_way["batches"], under_way["images"]) == (batch % 3, 8 * (batch % 3))
    assert len(under_way["gradients"]) > 10
    harness.train("stopped", resume=True, options=options)
    assert_same_run(harness, "straight", "stopped")


def test_patience_is_counted_over_a_stop(harness):
    changes = {"epochs": 9, "learning_rate": 1e-12, "options": {"patience": 3}}
    _, straight = harness.train("straight", **changes)
    _, first = harness.train("stopped", interrupt=at("train", 3, 2), **changes)
    result, second = harness.train("stopped", resume=True, **changes)
    assert (result.status, result.epochs) == ("completed", 4.0)
    assert first.rows + second.rows == straight.rows
    assert_same_run(harness, "straight", "stopped")


def test_a_compiled_run_goes_on_as_it_was(harness):
    options = {"compile": True, "ema_decay": 0.9}
    harness.train("straight", options=options)
    torch._dynamo.reset()
    harness.train("stopped", interrupt=at("train", 1, BATCHES - 1), options=options)
    torch._dynamo.reset()
    harness.train("stopped", resume=True, options=options)
    assert_same_run(harness, "straight", "stopped")


@pytest.mark.parametrize(
    "interrupt",
    [at("train", 1, BATCHES), at("val", 1, 1), at("val", 1, 2), at("val", 2, 1), at("train", 1, 1)],
    ids=["last batch", "in validation", "last batch of validation", "validation of the last epoch", "first batch"],
)
def test_stopped_at_an_awkward_moment(harness, interrupt):
    _, straight = harness.train("straight")
    result, first = harness.train("stopped", interrupt=interrupt)
    assert result.status == "stopped"
    _, second = harness.train("stopped", resume=True)
    assert first.rows + second.rows == straight.rows
    assert_same_run(harness, "straight", "stopped")


def test_stopped_before_the_first_step(harness):
    harness.train("straight")
    result, context = harness.train("stopped", before=lambda context: context.request_stop())
    assert (result.status, result.epochs, result.metrics) == ("stopped", 0.0, {})
    assert [event["step"] for event in context.of("checkpoint")] == [0]
    harness.train("stopped", resume=True)
    assert_same_run(harness, "straight", "stopped")


def test_killed_before_the_first_checkpoint(harness):
    harness.train("straight")
    _, context = harness.train("killed", resume=True)
    (resumed,) = context.of("resumed")
    assert (resumed["step"], resumed["checkpoint"], resumed["exact"]) == (0, None, True)
    assert_same_run(harness, "straight", "killed")


def kill_at(harness, name, step, tmp_path, **changes):
    """Train in another process that kills itself with -9 when it has done `step` batches, counting validation's."""
    params = harness.params(name, **changes)
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"params": asdict(params), "kill_at": step}))
    done = subprocess.run([sys.executable, CHILD, request], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode in (-signal.SIGKILL, 0), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    "name",
    [
        "resnet, fp32",
        "vit with dropout and drop path, bf16, 2 workers",
        "resnet, accumulated, averaged, mixup and cutmix, sgd, 2 workers",
    ],
)
def test_killed_at_random_steps(harness, tmp_path, name):
    case = CASES[name]
    case = {**case, "options": {**case["options"], "checkpoint_minutes": 0}}
    harness.train("straight", epochs=3, **case)
    rng = random.Random(name)
    kills = 0
    while not kill_at(harness, "killed", rng.randint(2, 8), tmp_path, epochs=3, resume=kills > 0, **case):
        kills += 1
        assert kills < 20
    assert kills >= 2
    assert_same_run(harness, "straight", "killed")


def test_resume_from_the_checkpoint_before_a_damaged_one(harness):
    harness.train("straight")
    harness.train("stopped", interrupt=at("train", 2, 2))
    path = harness.folder / "stopped" / "checkpoints" / "last.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    _, context = harness.train("stopped", resume=True)
    assert "last.pt" in context.logged
    assert "checksum" in context.logged
    (resumed,) = context.of("resumed")
    assert (resumed["checkpoint"], resumed["step"]) == ("checkpoints/previous.pt", BATCHES)
    assert_same_run(harness, "straight", "stopped")


def test_more_epochs_after_the_last_one(harness):
    first, _ = harness.train(epochs=1)
    result, context = harness.train(epochs=3, resume=True)
    assert (first.status, result.status, result.epochs) == ("completed", "completed", 3.0)
    (resumed,) = context.of("resumed")
    assert not resumed["exact"]
    assert "number of epochs" in resumed["reason"]
    assert [event["epoch"] for event in context.of("metrics")] == [2, 3]


def test_threads_are_set_as_they_were(harness):
    torch.set_num_threads(2)
    harness.train("straight")
    harness.train("stopped", interrupt=at("train", 1, 3))
    torch.set_num_threads(1)
    _, context = harness.train("stopped", resume=True)
    (resumed,) = context.of("resumed")
    assert resumed["exact"]
    assert torch.get_num_threads() == 2
    assert_same_run(harness, "straight", "stopped")


def test_what_differs_is_said(harness, monkeypatch):
    harness.train(interrupt=at("train", 1, 3))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    _, context = harness.train(resume=True, options={"weight_decay": 0.1})
    (resumed,) = context.of("resumed")
    assert not resumed["exact"]
    assert "and is SSE41" in resumed["reason"]
    assert "weight_decay was 0.05 and is 0.1" in resumed["reason"]
    assert {group["weight_decay"] for group in harness.last()["optimizer"]["param_groups"]} == {0.0, 0.1}


def test_a_stop_ends_the_loader_processes(harness):
    result, _ = harness.train(interrupt=at("train", 1, 2), options={"workers": 2})
    assert result.status == "stopped"
    assert multiprocessing.active_children() == []
