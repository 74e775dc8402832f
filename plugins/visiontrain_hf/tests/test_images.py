"""How a model wants its images, as its maker's file says: pixel for pixel what transformers makes of them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BitImageProcessor, ConvNextImageProcessor, ViTImageProcessor

from visiontrain.errors import WeightsError
from visiontrain.torchkit.transforms import EvalTransform, Normalize
from visiontrain_hf.detector_images import read_detector_images
from visiontrain_hf.images import read_image_config

PROCESSORS = {
    "vit": ViTImageProcessor(size={"height": 48, "width": 48}),
    "swin": ViTImageProcessor(
        size={"height": 48, "width": 48}, image_mean=[0.485, 0.456, 0.406], image_std=[0.2, 0.3, 0.4], resample=3
    ),
    "dinov2": BitImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 48, "width": 48}, resample=3),
    "convnext": ConvNextImageProcessor(size={"shortest_edge": 48}, crop_pct=0.75, resample=3),
}


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize("size", [(100, 80), (80, 100), (64, 64)])
def test_pixels_are_those_of_the_model_s_processor(tmp_path, kind, size):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(PROCESSORS[kind].to_json_string())
    config = read_image_config(path, image_size=224)
    noise = np.random.default_rng(0).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    ours = torch.from_numpy(EvalTransform(config)(image).copy())[None]
    ours = Normalize(config, torch.device("cpu"), channels_last=False)(ours)
    theirs = PROCESSORS[kind](image, return_tensors="pt")["pixel_values"]
    assert ours.shape == theirs.shape
    spread = 1 / 255 / min(config.std)
    assert (ours - theirs).abs().mean() < 2 * spread


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"size": "large"}), json.dumps({"image_mean": [0.5]})])
def test_what_says_nothing_of_use_is_an_error(tmp_path, content):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(content)
    with pytest.raises(WeightsError, match="does not say how the model wants its images"):
        read_image_config(path, image_size=224)


def test_a_detector_s_images_have_red_before_blue_as_well(tmp_path):
    file = tmp_path / "preprocessor_config.json"
    file.write_text('{"size": {"height": 64, "width": 64}, "do_flip_channel_order": true}', encoding="utf-8")
    with pytest.raises(WeightsError, match="blue before red"):
        read_detector_images(file, 64)
