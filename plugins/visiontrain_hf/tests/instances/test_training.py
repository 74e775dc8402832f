"""Instances with Mask2Former: it learns, goes on exactly, is evaluated, predicts and is exported."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, RunFailedError, SpecError
from visiontrain.testing.worker.inprocess import at
from visiontrain.torchkit.mask_runs import mask_pixels


def test_it_learns_is_evaluated_predicts_and_is_exported(harness):
    result, told = harness.train(epochs=6, learning_rate=2e-3)
    assert told.rows[-1]["train_loss"] < 0.7 * told.rows[0]["train_loss"]
    assert result.metrics["map50_mask"] > 0.1
    row = told.rows[-1]
    for split in ("train", "val"):
        parts = [row[f"{split}_{name}_loss"] for name in ("class", "mask", "dice")]
        assert row[f"{split}_loss"] == pytest.approx(sum(parts), rel=1e-5)
    assert {"map50", "map50_95", "map50_box", "map50_95_mask/red", "map50_box/green"} <= set(row)
    found, context = harness.evaluate()
    shared = {name: value for name, value in result.metrics.items() if name.startswith(("map", "val_"))}
    assert {name: found.metrics[name] for name in shared} == shared
    assert {"confusion_matrix", "curves", "picture"} <= {event["kind"] for event in context.of("artifact")}
    images = list(DatasetIndex(harness.index).images("val"))
    predicted = harness.predict([image.path for image in images], confidence=0.3)
    assert predicted == harness.predict([image.path for image in images], confidence=0.3)
    objects = [
        (image, each) for image, found in zip(images, predicted.predictions, strict=True) for each in found.objects
    ]
    assert objects
    for image, each in objects:
        mask = mask_pixels(each.mask.height, each.mask.width, each.mask.data.encode())
        assert mask.shape == (image.height, image.width)
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        assert each.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    for form in ("onnx", "torchscript"):
        exported, context = harness.export(form, tolerance=1e-4)
        assert exported.metrics["export_difference"] <= 1e-4
        assert "masks" in context.logged


def test_an_evaluation_s_numbers_do_not_depend_on_its_batches(harness):
    result, _ = harness.train(epochs=1)
    one, other = harness.evaluate(batch_size=3)[0].metrics, harness.evaluate(batch_size=10)[0].metrics
    assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-5)
    assert one["val_loss"] == pytest.approx(result.metrics["val_loss"], rel=1e-5)
    assert one["map50"] == pytest.approx(other["map50"], abs=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_in_an_epoch_on_its_last_batch_and_in_validation(harness, precision):
    options = {"ema_decay": 0.9, "precision": precision, "augmentation": "strong", "accumulate": 2}
    harness.assert_stops_leave_no_trace(
        [at("train", 1, 2), at("train", 1, 3), at("val", 1, 1), at("train", 2, 3)], options=options
    )


def test_what_is_dropped_is_the_same_again_and_no_layer_is(harness, describe):
    """transformers drops whole layers as often as `dropout` says, and fails: the next one's mask has another size."""
    folder, _ = describe(dropout=0.3)
    harness.train("straight", **harness.given(folder))
    harness.train("stopped", interrupt=at("train", 1, 2), **harness.given(folder))
    harness.train("stopped", resume=True, **harness.given(folder))
    one, other = harness.state("straight"), harness.state("stopped")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_loader_processes_change_nothing(harness):
    for name, workers in (("none", 0), ("two", 2)):
        harness.train(name, epochs=1, options={"workers": workers, "augmentation": "strong"})
    harness.assert_same("none", "two")


@pytest.mark.parametrize("where", ["class_predictor.bias", "model.transformer_module.queries_features.weight"])
def test_a_loss_that_is_no_number_ends_the_run(harness, describe, where):
    """transformers' matcher takes such queries for any object, and would go on."""
    folder, _ = describe()
    weights = load_file(folder / "model.safetensors")
    weights[where].view(-1)[0] = float("nan")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(RunFailedError, match=r"not a number|not numbers"):
        harness.train(**harness.given(folder))


def test_images_of_one_class_each_are_no_data_for_it(make_harness, index):
    with pytest.raises(DatasetError, match="needs objects with outlines or masks"):
        make_harness(index, task="segment", model="mask2former-tiny").train()


def test_another_network_is_refused(harness):
    with pytest.raises(SpecError, match="vit-tiny can't segment the instances in images") as caught:
        harness.train(model="vit-tiny")
    assert "mask2former-tiny" in caught.value.instruction


def test_a_border_round_the_images_is_not_exported(harness):
    harness.train(epochs=1, options={"resize": "border"})
    assert harness.evaluate()[0].metrics["val_loss"] > 0
    with pytest.raises(Exception, match="border"):
        harness.export("onnx")
