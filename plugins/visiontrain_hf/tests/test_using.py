"""A trained classifier evaluates as it did in training, predicts, and is exported."""

import pytest

from visiontrain.datasets.index import DatasetIndex

KINDS = ("vit-tiny", "swin-tiny", "convnext-tiny", "resnet-tiny", "beit-tiny", "dinov2-tiny", "deit-tiny")


@pytest.mark.parametrize("model", KINDS)
def test_every_preset_learns_is_evaluated_and_exported(harness, model):
    result, told = harness.train(model=model, epochs=3, image_size=48, learning_rate=2e-3)
    assert told.rows[-1]["train_loss"] < told.rows[0]["train_loss"]
    found, _ = harness.evaluate()
    assert found.metrics["accuracy"] == result.metrics["accuracy"]
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"])
    paths = [image.path for image in DatasetIndex(harness.index).images("val")]
    predicted = harness.predict(paths)
    assert [len(each.classify.probabilities) for each in predicted.predictions] == [3] * len(paths)
    exported, _ = harness.export("onnx")
    assert exported.metrics["export_difference"] < 1e-4
