"""Networks as small as they get, and what trains them."""

from __future__ import annotations

import pytest
from transformers import AutoConfig

from visiontrain_hf.segmenter import segmenter_class

CLASSES = ("background", "red", "green")

_CONVNEXT = {
    "model_type": "convnext", "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1],
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}  # fmt: skip
_VIT = {
    "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 64,
    "patch_size": 16,
}  # fmt: skip

#: Each family that transformers segments with.
NETWORKS = {
    "segformer": {
        "depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16], "num_attention_heads": [1, 1, 2, 2],
        "decoder_hidden_size": 16,
    },
    "upernet": {
        "backbone_config": _CONVNEXT, "hidden_size": 16, "auxiliary_in_channels": 16, "auxiliary_channels": 8,
    },
    "beit": {**_VIT, "out_indices": [1, 2, 3, 4], "use_relative_position_bias": True},
    "data2vec-vision": {**_VIT, "out_indices": [0, 1, 2, 3]},
    "dpt": {
        **_VIT, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16,
        "is_hybrid": False,
    },
    "mobilevit": {
        "image_size": 64, "hidden_sizes": [16, 16, 24], "neck_hidden_sizes": [8, 8, 8, 16, 16, 16, 32],
        "num_attention_heads": 2, "aspp_out_channels": 16,
    },
    "mobilenet_v2": {"image_size": 64, "depth_multiplier": 0.35},
}  # fmt: skip


@pytest.fixture(scope="session")
def masks(tmp_path_factory, make_masks):
    """30 training images: three batches of 8 and one of 6; 12 for validation: two batches."""
    return make_masks(tmp_path_factory.mktemp("masks"), train=30, val=12)


@pytest.fixture
def harness(make_harness, masks):
    return make_harness(masks, task="semantic", model="segformer-tiny", image_size=64)


@pytest.fixture
def describe(tmp_path, save_untrained):
    """A model's folder, by its family."""

    def write(kind, *, labels=CLASSES, name=None, seed=0, **changes):
        config = AutoConfig.for_model(kind, **{**NETWORKS[kind], **changes})
        return save_untrained(segmenter_class(config), config, tmp_path / (name or kind), labels=labels, seed=seed)

    return write
