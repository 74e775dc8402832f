"""Every family learns by class, goes on exactly, is evaluated, predicts and is exported."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, SpecError
from visiontrain.testing.worker.inprocess import at
from visiontrain_hf.options import HfOptions
from visiontrain_hf.segmenter import HfSegmenter
from visiontrain_hf.trainer import HfTrainer

LABELS = ("background", "red", "green")


@pytest.mark.parametrize("model", ["segformer-tiny", "upernet-tiny-scratch"])
def test_every_preset_learns_is_evaluated_predicts_and_is_exported(harness, model):
    result, told = harness.train(model=model, epochs=4, learning_rate=3e-3)
    assert told.rows[-1]["train_loss"] < told.rows[0]["train_loss"]
    assert result.metrics["miou"] > 0.5
    assert {"iou/background", "iou/red", "iou/green", "pixel_accuracy", "mean_accuracy"} <= set(result.metrics)
    found, context = harness.evaluate()
    assert found.metrics["miou"] == result.metrics["miou"]
    assert {event["kind"] for event in context.of("artifact")} == {"confusion_matrix", "picture", "classes"}
    images = list(DatasetIndex(harness.index).images("val"))
    trainer = HfTrainer()
    first = harness.predict([image.path for image in images], trainer=trainer)
    again = harness.predict([image.path for image in images], trainer=trainer)
    assert first == again
    assert first.classes == LABELS
    right = counted = 0
    for image, prediction in zip(images, first.predictions, strict=True):
        seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(prediction.class_map.png))))
        truth = np.asarray(Image.open(image.mask))
        assert seen.shape == truth.shape
        right, counted = right + int((seen == truth)[truth != 255].sum()), counted + int((truth != 255).sum())
    assert right / counted == pytest.approx(result.metrics["pixel_accuracy"], abs=1e-9)
    for form in ("onnx", "torchscript"):
        exported, context = harness.export(form)
        assert exported.metrics["export_difference"] < 1e-4
        assert "of probabilities and" in context.logged
    told = json.loads((harness.folder / "run-exported" / "artifacts" / "model.json").read_text())
    assert told["output"]["shape"][:2] == ["batch", 3]
    assert set(told["check"]["differences"]) == {"probabilities", "class maps"}


@pytest.mark.parametrize("model", ["segformer-tiny", "upernet-tiny"])
def test_stopped_in_an_epoch_on_its_last_batch_and_in_validation(harness, model):
    """SegFormer draws what it drops, both have batch norm; with averages, bf16 and pixels weighed by class."""
    options = {"ema_decay": 0.9, "precision": "bf16", "class_weights": "balanced", "augmentation": "strong"}
    options |= {"accumulate": 2}
    harness.assert_stops_leave_no_trace(
        [at("train", 1, 2), at("train", 1, 4), at("val", 1, 1), at("train", 2, 4)], model=model, options=options
    )


def test_loader_processes_change_nothing(harness):
    for name, workers in (("none", 0), ("two", 2)):
        harness.train(name, epochs=1, options={"workers": workers, "augmentation": "strong"})
    harness.assert_same("none", "two")


def test_the_auxiliary_head_learns_and_is_left_out_of_use(harness, describe):
    folder, _ = describe("upernet")
    one = harness.given(folder)
    harness.train("trained", epochs=1, learning_rate=1e-2, **one)
    harness.train("begun", epochs=1, learning_rate=1e-12, **one)
    trained, begun = harness.state("trained"), harness.state("begun")
    name = "network.auxiliary_head.classifier.weight"
    assert not torch.allclose(trained[name], begun[name], atol=1e-4)
    _, model = HfTrainer()._inference.load(str(harness.path("trained")), "semantic", HfOptions())
    assert model.network.auxiliary_head is None


def test_the_auxiliary_loss_is_that_of_transformers(describe):
    _, network = describe("upernet")
    model = HfSegmenter(network.eval(), (), auxiliary=network.config.auxiliary_loss_weight)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(3, (2, 64, 64), generator=torch.Generator().manual_seed(1))
    maps = model.training_maps(images)
    assert [share for _, share in maps] == [1.0, 0.4]

    def loss_of(scores):
        pixels = functional.interpolate(scores, size=(64, 64), mode="bilinear", align_corners=False)
        return functional.cross_entropy(pixels, labels)

    ours = sum(share * loss_of(scores) for scores, share in maps)
    assert ours.item() == pytest.approx(network(pixel_values=images, labels=labels).loss.item(), rel=1e-5)


def test_the_batch_size_is_found(harness):
    _, told = harness.train(epochs=1, auto_batch_size=True)
    assert "found for cpu" in told.logged


def test_data_of_another_kind_is_refused(harness, make_harness, index):
    other = make_harness(index, task="semantic", model="upernet-tiny")
    with pytest.raises(DatasetError, match="masks of classes are wanted"):
        other.train()
    with pytest.raises(SpecError, match="vit-tiny can't segment images by class"):
        harness.train(model="vit-tiny")
