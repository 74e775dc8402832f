"""A device that has room for fewer images than a batch has."""

import pytest
import torch

import visiontrain.torchkit.batch_size
import visiontrain_timm.trainer
from visiontrain.errors import RunFailedError
from visiontrain.torchkit.autobatch import Found

ALL = {
    "resnet": {"options": {"mixup": 0.4, "accumulate": 2, "ema_decay": 0.9, "class_weights": "circle=2"}},
    "vit": {"model": "test_vit", "options": {"drop_rate": 0.2, "drop_path_rate": 0.2, "class_weights": "circle=2"}},
}


class Device:
    """Has room for so many images in training, and so many in validation."""

    def __init__(self, monkeypatch):
        self.training = self.validation = 1000
        build = visiontrain_timm.trainer.build_model

        def build_here(*args, **kwargs):
            built = build(*args, **kwargs)
            built.model.register_forward_pre_hook(self._look)
            return built

        monkeypatch.setattr(visiontrain_timm.trainer, "build_model", build_here)

    def _look(self, model, given):
        if len(given[0]) > (self.training if model.training else self.validation):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def device(monkeypatch):
    return Device(monkeypatch)


def at(phase, epoch, step):
    return lambda *seen: seen == (phase, epoch, step)


def weights(harness, name):
    return harness.last(name)["model"]


@pytest.mark.parametrize("case", ALL.values(), ids=ALL)
def test_a_split_run_goes_on_as_it_was_whatever_room_there_is_then(harness, device, case):
    device.training, device.validation = 5, 5
    _, straight = harness.train("straight", **case)
    harness.train("stopped", interrupt=at("train", 2, 3), **case)
    device.training = device.validation = 1000
    _, resumed = harness.train("stopped", resume=True, **case)
    for name, value in weights(harness, "straight").items():
        assert torch.equal(weights(harness, "stopped")[name], value), name
    assert straight.rows[1:] == resumed.rows
    assert harness.last("straight")["position"]["train_at_once"] == 4
    assert "images a step: going on with 2 x 4 at once, the same effective batch." in straight.logged
    assert "Out of memory in validation at 8 images: going on with 2 x 4 at once." in straight.logged
    assert ("Batch norm sees 4 images instead of 8." in straight.logged) == ("model" not in case)


def test_without_batch_norm_a_split_run_learns_the_same(harness, device):
    case = {"model": "test_vit", "options": {"mixup": 0.4, "class_weights": "circle=2", "clip_grad": 1.0}}
    _, whole = harness.train("whole", epochs=1, **case)
    device.training, device.validation = 3, 3
    _, split = harness.train("split", epochs=1, **case)
    for row, other in zip(whole.rows, split.rows, strict=True):
        assert other == pytest.approx(row, rel=1e-3)
    for name, value in weights(harness, "whole").items():
        torch.testing.assert_close(weights(harness, "split")[name], value, rtol=1e-3, atol=1e-4)


def test_several_labels_an_image_are_split_as_well(harness, device, discs):
    harness.index = discs
    case = {"model": "test_vit", "options": {"label_smoothing": 0.0}}
    _, whole = harness.train("whole", epochs=1, **case)
    device.training, device.validation = 3, 3
    _, split = harness.train("split", epochs=1, **case)
    assert split.rows[0] == pytest.approx(whole.rows[0], rel=1e-3)


def test_no_room_for_a_single_image_in_validation(harness, device):
    device.validation = 0
    with pytest.raises(RunFailedError, match="no room for validation with a single image"):
        harness.train(epochs=1)


def test_a_batch_size_that_is_found_is_the_runs_from_then_on(harness, monkeypatch):
    """And finding it changes nothing else: the run is the same as with that number."""
    options = {"ema_decay": 0.9, "mixup": 0.4, "drop_rate": 0.2}
    harness.train("asked", batch_size=4, options=options)
    tried = []

    def find(try_out, **_):
        tried.extend(try_out(images) for images in (4, 8, 4))
        return Found(4, "4 are what this test wants")

    monkeypatch.setattr(visiontrain.torchkit.batch_size, "by_speed", find)
    _, first = harness.train("found", auto_batch_size=True, interrupt=at("train", 1, 3), options=options)
    assert "Batch size 4, found for cpu: 4 are what this test wants." in first.logged
    assert "at batch size 4." in first.logged
    assert [trial.images for trial in tried] == [4, 8, 4]
    monkeypatch.setattr(visiontrain.torchkit.batch_size, "by_speed", None)
    _, second = harness.train("found", auto_batch_size=True, resume=True, options=options)
    assert "Batch size 4, as it was found when the run began." in second.logged
    assert second.of("resumed")[0]["exact"]
    for name, value in weights(harness, "asked").items():
        assert torch.equal(weights(harness, "found")[name], value), name


def test_a_batch_size_is_found_by_real_steps(harness):
    _, context = harness.train(epochs=1, batch_size=16, auto_batch_size=True)
    found = harness.last()["identity"]["batch_size"]
    assert found in (4, 8, 16)
    assert f"Batch size {found}, found for cpu: " in context.logged
    assert context.of("metrics")[0]["step"] == -(-39 // found)
