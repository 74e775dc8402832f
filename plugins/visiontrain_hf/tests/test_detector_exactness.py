"""The same seed gives the same detector, bit by bit, whatever interrupted the run: noised queries among it."""

import pytest
import torch

from visiontrain.testing.worker.inprocess import at

#: In an epoch, on its last batch, and in validation.
MOMENTS = (at("train", 1, 2), at("train", 1, 3), at("val", 1, 1), at("train", 2, 1), None)


def whole(harness, name):
    last = torch.load(harness.path(name, "last.pt"), weights_only=True)
    values = {**last["model"], **{f"average {key}": value for key, value in (last["updates"]["average"] or {}).items()}}
    for number, state in last["optimizer"]["state"].items():
        values |= {f"optimizer {number} {key}": value for key, value in state.items()}
    return values


@pytest.mark.parametrize("model", ["rtdetr-tiny", "rtdetrv2-tiny", "dfine-tiny", "detr-tiny"])
def test_stopped_in_an_epoch_on_its_last_batch_and_in_validation(detecting, model):
    options = {"ema_decay": 0.9, "precision": "bf16", "augmentation": "strong", "accumulate": 2}
    _, straight = detecting.train("straight", model=model, options=options)
    rows = []
    for attempt, moment in enumerate(MOMENTS):
        result, told = detecting.train("stopped", model=model, resume=attempt > 0, interrupt=moment, options=options)
        rows += told.rows
        assert all(event["exact"] for event in told.of("resumed"))
    assert result.status == "completed"
    assert rows == straight.rows
    one, other = whole(detecting, "straight"), whole(detecting, "stopped")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_loader_processes_change_nothing(detecting):
    for name, workers in (("none", 0), ("two", 2)):
        detecting.train(name, epochs=1, options={"workers": workers, "augmentation": "strong"})
    one, other = whole(detecting, "none"), whole(detecting, "two")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_checkpoint_says_the_average_of_a_shared_weight_by_each_of_its_names(detecting):
    """RT-DETR v2 has its heads in two places; what last.pt gives is what was validated."""
    result, _ = detecting.train(model="rtdetrv2-tiny", epochs=1, learning_rate=1e-2, options={"ema_decay": 0.99})
    found, _ = detecting.evaluate(file="last.pt")
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"], rel=1e-5)
