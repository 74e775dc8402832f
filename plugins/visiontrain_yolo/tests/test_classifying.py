"""Classifiers: what they report, that they learn, go on as they were, and give the same numbers again."""

import numpy as np
import pytest
import torch
from PIL import Image

from visiontrain.errors import DatasetError, SpecError
from visiontrain.protocol.messages import Weights
from visiontrain.protocol.metrics import is_canonical
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.randomness import kept_rng, seed_sample
from visiontrain_yolo.build import build_model
from visiontrain_yolo.classifying import TrainingImages
from visiontrain_yolo.options import YoloOptions
from visiontrain_yolo.weights import load_into, read_weights


@pytest.fixture
def harness(harness, colours):
    harness.index = colours
    harness.settings = {"task": "classify", "model": "yolo26n-cls", "image_size": 32}
    return harness


def test_a_run_reports_and_goes_on_as_it_was(harness):
    result, straight = harness.train("straight", options={"workers": 2, "dropout": 0.2}, **harness.settings)
    assert result.status == "completed"
    (row, _) = (event["values"] for event in straight.of("metrics"))
    assert {"accuracy", "f1_macro", "precision/green", "val_loss", "train_loss"} <= set(row)
    assert all(is_canonical(name, Task.classify) for name in row)
    for attempt, moment in enumerate([("train", 1, 3), ("val", 1, 1), ("train", 2, 1), None]):

        def interrupt(*seen, moment=moment):
            return seen == moment

        harness.train("stopped", resume=attempt > 0, interrupt=interrupt, options={"dropout": 0.2}, **harness.settings)
    one, other = harness.last("straight"), harness.last("stopped")
    assert all(torch.equal(one["model"][name], other["model"][name]) for name in one["model"])
    found, _ = harness.evaluate("straight", task="classify", batch_size=3)
    for name in ("accuracy", "f1_macro"):
        assert found.metrics[name] == result.metrics[name]
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"], rel=1e-5)


def test_yolo_alone_is_a_classifier_here(harness):
    harness.train(epochs=1, **{**harness.settings, "model": "yolo"})
    assert harness.best()["metadata"]["model"] == "yolo26n-cls"


@pytest.mark.parametrize("options", [{"mosaic": 0.5}, {"iou": 0.5}, {"close_mosaic": 0}, {"box": 1.0}])
def test_options_of_detectors_are_refused(harness, options):
    with pytest.raises(SpecError, match="no effect with the task classify"):
        harness.train(options=options, **harness.settings)


def test_options_of_classifiers_are_refused_elsewhere(harness, index):
    harness.index = index
    with pytest.raises(SpecError, match="no effect with the task detect"):
        harness.train(options={"erasing": 0.1})
    with pytest.raises(DatasetError, match="have objects"):
        harness.train(**harness.settings)


def test_weights_of_classes_go_by_name(harness):
    harness.train(epochs=1, **harness.settings)
    weights = read_weights(harness.path())
    model = build_model("yolo26n-cls", ["red", "blue", "green"], head_classes=3)
    before = model.state_dict()["model.10.linear.bias"].clone()
    load_into(model, "yolo26n-cls", weights, print)
    after, theirs = model.state_dict(), weights.state
    assert torch.equal(after["model.0.conv.weight"], theirs["model.0.conv.weight"])
    assert torch.equal(after["model.10.linear.bias"][[0, 2]], theirs["model.10.linear.bias"][[1, 0]])
    assert torch.equal(after["model.10.linear.bias"][1], before[1])
    given = Weights("file", str(harness.path()))
    result, _ = harness.train("second", epochs=1, weights=given, **harness.settings)
    assert result.status == "completed"


def test_augmentation_draws_from_the_sample_alone():
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 60, 3), dtype=np.uint8))
    for policy in ("none", "randaugment", "autoaugment", "augmix"):
        change = TrainingImages(YoloOptions(auto_augment=policy, erasing=1.0), 32)
        found = []
        for epoch in (1, 1, 2):
            with kept_rng():
                seed_sample(3, epoch, 5)
                found.append(change(image))
        assert (found[0].dtype, found[0].shape) == (np.uint8, (32, 32, 3))
        assert np.array_equal(found[0], found[1])
        assert not np.array_equal(found[0], found[2])
    plain = TrainingImages(
        YoloOptions(auto_augment="none", erasing=0, hsv_h=0, hsv_s=0, hsv_v=0, scale=0, fliplr=0), 50
    )
    with kept_rng():
        seed_sample(3, 1, 1)
        same = plain(Image.new("RGB", (50, 50), (10, 20, 255)))
    assert np.array_equal(np.unique(same.reshape(-1, 3), axis=0), [[10, 20, 255]])
