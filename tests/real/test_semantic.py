"""Photos with a class for each pixel: trained, stopped, gone on with, evaluated, predicted, exported."""

from __future__ import annotations

import pytest
from PIL import Image, ImageOps

import visiontrain as vt

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def run(real_data):
    """24 photos of 129 classes: enough to learn how common they are, and not much more."""
    return vt.train(
        real_data / "coco128_open", task="semantic", model="segformer-tiny", weights="scratch", image_size=64, epochs=8,
        batch_size=8, device="cpu", progress=False,
    )  # fmt: skip


def test_it_learns_what_photos_show(run):
    assert run.status == "completed"
    losses = [row["train_loss"] for row in run.history]
    assert losses[-1] < losses[0]
    assert run.metrics["pixel_accuracy"] > 0.05
    assert run.metrics["miou"] == max(row["miou"] for row in run.history)
    # Classes that no pixel of val is of, and none was taken for, have no number.
    assert "iou/airplane" not in run.metrics
    assert "iou/person" in run.metrics


def test_evaluated_again_it_gives_the_same(run):
    found = run.evaluate(progress=False)
    assert found.metrics["miou"] == pytest.approx(run.metrics["miou"], abs=1e-9)
    assert found.metrics["pixel_accuracy"] == pytest.approx(run.metrics["pixel_accuracy"], abs=1e-9)


def test_class_maps_have_the_photos_sizes(run, real_data):
    photos = sorted((real_data / "coco128_open/images/val2017").glob("*.jpg"))
    for photo, prediction in zip(photos, run.predict(photos), strict=True):
        with Image.open(photo) as image:
            size = ImageOps.exif_transpose(image).size
        assert (prediction.class_map.width, prediction.class_map.height) == size
        assert sum(prediction.class_map.pixels) == size[0] * size[1]


def test_it_is_exported(run):
    assert run.export("onnx", progress=False).difference < 1e-4
