"""How a model wants its images, as its maker's file says: pixel for pixel what transformers makes of them."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    BitImageProcessor,
    ConvNextImageProcessor,
    EfficientNetImageProcessor,
    LevitImageProcessor,
    PerceiverImageProcessor,
    PoolFormerImageProcessor,
    ViTImageProcessor,
)

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
    "large convnext": ConvNextImageProcessor(size={"shortest_edge": 384}, crop_pct=0.75, resample=3),
    "levit": LevitImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}),
    "poolformer": PoolFormerImageProcessor(
        size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}, crop_pct=0.75
    ),
    "efficientnet": EfficientNetImageProcessor(size={"height": 48, "width": 48}, image_std=[0.5, 0.6, 0.7]),
    "efficientnet's features": EfficientNetImageProcessor(
        size={"height": 48, "width": 48}, include_top=False, rescale_factor=1 / 127.5, rescale_offset=True
    ),
    "one that divides by nothing": ViTImageProcessor(
        size={"height": 48, "width": 48},
        do_rescale=False,
        image_mean=[100.0, 110.0, 120.0],
        image_std=[50.0, 60.0, 70.0],
    ),
}

#: As files of some years ago have it: one number for the size, and the class under another name.
OLD = {
    "ConvNextFeatureExtractor": {"size": 48, "crop_pct": 0.75, "resample": 3},
    "DeiTFeatureExtractor": {"size": 64, "crop_size": 48, "do_center_crop": True, "resample": 3},
    "ViTFeatureExtractor": {"size": 48, "resample": 2},
    "BeitFeatureExtractor": {"size": 48, "crop_size": 48, "do_center_crop": False, "resample": 2},
    "CLIPFeatureExtractor": {"size": 64, "crop_size": 48, "do_center_crop": True, "resample": 3},
    "PoolFormerFeatureExtractor": {"size": 48, "crop_size": 48, "crop_pct": 0.75},
}


def compare(path, size, processor):
    """Of a photo what the model sees here and what transformers shows it, as normalised pixels."""
    config = read_image_config(path, image_size=224)
    noise = np.random.default_rng(0).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    ours = torch.from_numpy(EvalTransform(config)(image).copy())[None]
    ours = Normalize(config, torch.device("cpu"), channels_last=False)(ours)
    theirs = processor(image, return_tensors="pt")["pixel_values"]
    assert ours.shape == theirs.shape
    spread = 1 / 255 / min(config.std)
    assert (ours - theirs).abs().mean() < 2 * spread


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize("size", [(100, 80), (80, 100), (64, 64)])
def test_pixels_are_those_of_the_model_s_processor(tmp_path, kind, size):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(PROCESSORS[kind].to_json_string())
    compare(path, size, PROCESSORS[kind])


@pytest.mark.parametrize("kind", OLD)
@pytest.mark.parametrize("size", [(100, 80), (80, 100)])
def test_files_of_some_years_ago_mean_what_transformers_takes_them_for(tmp_path, kind, size):
    path = tmp_path / "preprocessor_config.json"
    told = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "do_normalize": True, "do_resize": True}
    path.write_text(json.dumps({**told, **OLD[kind], "feature_extractor_type": kind}))
    compare(path, size, AutoImageProcessor.from_pretrained(tmp_path))


@pytest.mark.parametrize("edge", [48, 54, 59, 118, 187, 225, 231, 236, 353])
def test_the_shorter_side_is_resized_to_what_the_file_says_to_the_pixel(tmp_path, edge):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(BitImageProcessor(size={"shortest_edge": edge}, crop_size=48).to_json_string())
    assert math.floor(48 / read_image_config(path, image_size=224).crop_pct) == edge


def test_images_that_can_t_be_made_here_are_an_error(tmp_path):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(PerceiverImageProcessor().to_json_string())
    with pytest.raises(WeightsError, match="PerceiverImageProcessor crops before it resizes"):
        read_image_config(path, image_size=224)


@pytest.mark.parametrize(
    ("told", "size", "mode"),
    [
        ({"feature_extractor_type": "DetrFeatureExtractor", "size": 64, "max_size": 100}, (64, 64), "border"),
        ({"image_processor_type": "RTDetrImageProcessor", "size": {"height": 64, "width": 48}}, (64, 48), "squash"),
        (
            {"image_processor_type": "YolosImageProcessor", "size": {"shortest_edge": 64, "longest_edge": 90}},
            (64, 64),
            "border",
        ),
    ],
)
def test_a_detector_s_images_are_squashed_or_keep_their_shape_as_its_processor_has_it(tmp_path, told, size, mode):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(told))
    found = read_detector_images(path, 640)
    assert (found.size, found.crop_mode) == (size, mode)


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
