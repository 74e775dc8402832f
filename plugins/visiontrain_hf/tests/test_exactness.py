"""The same seed gives the same weights, bit by bit, whatever interrupted the run."""

import pytest

from visiontrain.testing.worker.inprocess import at

KINDS = ("vit-tiny", "swin-tiny", "convnext-tiny", "resnet-tiny", "beit-tiny", "dinov2-tiny", "deit-tiny")


@pytest.mark.parametrize("model", KINDS)
def test_stopped_in_an_epoch_and_in_validation(harness, model):
    options = {"mixup": 0.5, "ema_decay": 0.9, "precision": "bf16", "workers": 0}
    harness.assert_stops_leave_no_trace(
        [at("train", 1, 2), at("val", 1, 1), at("train", 2, 4)], model=model, options=options
    )


def test_what_is_dropped_is_the_same_again(harness, describe):
    folder, _ = describe("vit", hidden_dropout_prob=0.2, labels=("blue", "green", "red"))
    harness.train("straight", model=str(folder))
    harness.train("stopped", model=str(folder), interrupt=at("train", 1, 2))
    harness.train("stopped", model=str(folder), resume=True)
    harness.assert_same("straight", "stopped")
