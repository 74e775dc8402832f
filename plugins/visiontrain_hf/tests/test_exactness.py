"""The same seed gives the same weights, bit by bit, whatever interrupted the run."""

import pytest
import torch

from visiontrain.testing.worker.inprocess import at

KINDS = ("vit-tiny", "swin-tiny", "convnext-tiny", "resnet-tiny", "beit-tiny", "dinov2-tiny", "deit-tiny")


def weights(harness, name):
    last = torch.load(harness.path(name, "last.pt"), weights_only=True)
    return {**last["model"], **{f"average {key}": value for key, value in (last["updates"]["average"] or {}).items()}}


def assert_same(harness, one, other):
    left, right = weights(harness, one), weights(harness, other)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("model", KINDS)
def test_stopped_in_an_epoch_and_in_validation(harness, model):
    options = {"mixup": 0.5, "ema_decay": 0.9, "precision": "bf16", "workers": 0}
    _, straight = harness.train("straight", model=model, options=options)
    rows = []
    for attempt, moment in enumerate([at("train", 1, 2), at("val", 1, 1), at("train", 2, 4), None]):
        result, told = harness.train("stopped", model=model, resume=attempt > 0, interrupt=moment, options=options)
        rows += told.rows
        assert all(event["exact"] for event in told.of("resumed"))
    assert result.status == "completed"
    assert rows == straight.rows
    assert_same(harness, "straight", "stopped")


def test_what_is_dropped_is_the_same_again(harness, describe):
    folder, _ = describe("vit", hidden_dropout_prob=0.2, labels=("blue", "green", "red"))
    harness.train("straight", model=str(folder))
    harness.train("stopped", model=str(folder), interrupt=at("train", 1, 2))
    harness.train("stopped", model=str(folder), resume=True)
    assert_same(harness, "straight", "stopped")
