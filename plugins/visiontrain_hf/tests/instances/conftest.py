"""A Mask2Former with Swin as small as they get, and what trains it."""

from __future__ import annotations

import pytest
from transformers import AutoConfig

from visiontrain_hf.mask2former import mask2former_class

LABELS = ("green", "red")
SIDE = 64

#: As the published ones are laid out; the preset has a ResNet.
NETWORK = {
    "backbone_config": {
        "model_type": "swin", "embed_dim": 32, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8], "patch_size": 4,
        "window_size": 2, "drop_path_rate": 0.0, "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    "feature_size": 64, "mask_feature_size": 64, "hidden_dim": 64, "num_queries": 20, "encoder_layers": 1,
    "decoder_layers": 4, "num_attention_heads": 4, "encoder_feedforward_dim": 128, "dim_feedforward": 256,
    "train_num_points": 1024,
}  # fmt: skip


@pytest.fixture
def harness(make_harness, outlines):
    return make_harness(outlines, task="segment", model="mask2former-tiny", image_size=SIDE)


@pytest.fixture
def describe(tmp_path, save_untrained):
    """A model's folder."""

    def write(*, labels=LABELS, **changes):
        config = AutoConfig.for_model("mask2former", **{**NETWORK, **changes})
        return save_untrained(mask2former_class(config), config, tmp_path / "mask2former", labels=labels)

    return write
