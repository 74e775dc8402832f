"""How images are shown to what segments by class."""

import json

import pytest

from visiontrain.errors import WeightsError
from visiontrain_hf.segmenter import SEGMENTERS


def test_images_may_keep_their_shape(harness):
    harness.train(epochs=1, options={"resize": "border"})
    result, _ = harness.evaluate()
    assert result.metrics["miou"] > 0
    with pytest.raises(Exception, match="images with a border"):
        harness.export("onnx")


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ({"size": {"height": 64, "width": 96}, "do_reduce_labels": True}, (64, 96)),
        ({"size": 64, "do_reduce_labels": False}, (64, 64)),
        ({"size": {"shortest_edge": 72}, "do_center_crop": True, "crop_size": {"height": 64, "width": 64}}, (64, 64)),
    ],
)
def test_all_of_an_image_is_seen_whatever_the_processor_says(tmp_path, told, size):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({**told, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5] * 3}))
    found = SEGMENTERS.read_images(path, 512)
    assert (found.size, found.crop_mode, found.crop_pct, found.mean) == (size, "squash", 1.0, (0.1, 0.2, 0.3))


def test_pixels_that_would_be_shown_otherwise_are_refused(tmp_path):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"size": 64, "do_flip_channel_order": True}))
    with pytest.raises(WeightsError, match="blue before red"):
        SEGMENTERS.read_images(path, 512)
