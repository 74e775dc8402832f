"""Small models, and how they are laid out: what a CPU trains from random weights in a minute."""

from __future__ import annotations

import copy
from typing import Any

from transformers import AutoConfig

__all__ = ["config_of"]

#: In pixels, both sides; another one may be asked for.
_IMAGE_SIZE = 96

#: Of presets that have another one.
_IMAGE_SIZES = dict.fromkeys(
    (
        "rtdetr-tiny", "rtdetrv2-tiny", "dfine-tiny", "detr-tiny", "mask2former-tiny", "segformer-tiny", "upernet-tiny",
    ),
    128,
)  # fmt: skip

_TRANSFORMER = {
    "hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 384, "patch_size": 8,
}  # fmt: skip

_DETECTORS_BACKBONE = {
    "model_type": "rt_detr_resnet", "embedding_size": 32, "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 1, 1],
    "layer_type": "basic", "out_features": ["stage2", "stage3", "stage4"],
}  # fmt: skip

#: What RT-DETR and those after it share. Batch norm is not frozen: there is nothing in it yet that was worth it.
_REAL_TIME = {
    "backbone_config": _DETECTORS_BACKBONE, "freeze_backbone_batch_norms": False, "encoder_in_channels": [64, 96, 128],
    "encoder_hidden_dim": 64, "encoder_ffn_dim": 128, "encoder_attention_heads": 4, "hidden_expansion": 0.5,
    "d_model": 64, "decoder_in_channels": [64, 64, 64], "decoder_ffn_dim": 128, "decoder_layers": 3,
    "decoder_attention_heads": 4, "num_queries": 40, "num_denoising": 40,
}  # fmt: skip

#: transformers' type and configuration by preset.
_LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit-tiny": ("vit", _TRANSFORMER),
    "deit-tiny": ("deit", _TRANSFORMER),
    "beit-tiny": ("beit", {**_TRANSFORMER, "use_relative_position_bias": True, "layer_scale_init_value": 0.1}),
    "dinov2-tiny": (
        "dinov2",
        {name: value for name, value in _TRANSFORMER.items() if name != "intermediate_size"}
        | {"mlp_ratio": 3, "layerscale_value": 0.1},
    ),
    "swin-tiny": (
        "swin",
        {"embed_dim": 48, "depths": [2, 2, 2], "num_heads": [2, 4, 8], "patch_size": 4, "window_size": 6},
    ),
    "convnext-tiny": ("convnext", {"hidden_sizes": [32, 64, 128, 192], "depths": [2, 2, 4, 2], "patch_size": 2}),
    "resnet-tiny": (
        "resnet",
        {"embedding_size": 32, "hidden_sizes": [32, 64, 128, 192], "depths": [1, 1, 1, 1], "layer_type": "basic"},
    ),
    "rtdetr-tiny": ("rt_detr", _REAL_TIME),
    "rtdetrv2-tiny": ("rt_detr_v2", _REAL_TIME),
    "dfine-tiny": ("d_fine", _REAL_TIME),
    # ConvNeXt's norms are not frozen, as DETR's loader of backbones does with batch norm.
    "detr-tiny": (
        "detr",
        {
            "backbone_config": {
                "model_type": "convnext",
                "hidden_sizes": [32, 64, 96],
                "depths": [1, 2, 2],
                "num_stages": 3,
                "patch_size": 4,
                "out_features": ["stage3"],
            },
            "d_model": 96,
            "encoder_layers": 2,
            "decoder_layers": 3,
            "encoder_ffn_dim": 192,
            "decoder_ffn_dim": 192,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "num_queries": 30,
            "auxiliary_loss": True,
            "dropout": 0.0,
        },
    ),
    "mask2former-tiny": (
        "mask2former",
        {
            "backbone_config": {
                "model_type": "swin", "embed_dim": 32, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8],
                "patch_size": 4, "window_size": 4, "drop_path_rate": 0.0,
                "out_features": ["stage1", "stage2", "stage3", "stage4"],
            },
            "feature_size": 64, "mask_feature_size": 64, "hidden_dim": 64, "num_queries": 20,
            "encoder_layers": 1, "decoder_layers": 4, "num_attention_heads": 4,
            "encoder_feedforward_dim": 128, "dim_feedforward": 256, "train_num_points": 1024,
        },
    ),
    "segformer-tiny": (
        "segformer",
        {
            "depths": [1, 1, 1, 1], "hidden_sizes": [16, 32, 64, 128], "num_attention_heads": [1, 2, 4, 8],
            "decoder_hidden_size": 64, "drop_path_rate": 0.0,
        },
    ),
    "upernet-tiny": (
        "upernet",
        {
            "backbone_config": {
                "model_type": "convnext", "hidden_sizes": [24, 48, 96, 128], "depths": [1, 1, 2, 1],
                "out_features": ["stage1", "stage2", "stage3", "stage4"],
            },
            "hidden_size": 48, "auxiliary_in_channels": 96, "auxiliary_channels": 32,
        },
    ),
}  # fmt: skip


def config_of(preset: str, image_size: int | None) -> tuple[Any, int]:
    """A preset's configuration of transformers, and the size of its images.

    Args:
        preset: Its name.
        image_size: In pixels, both sides; None for the preset's own.
    """
    kind, given = _LAYOUTS[preset]
    size = image_size or _IMAGE_SIZES.get(preset, _IMAGE_SIZE)
    arguments = copy.deepcopy(given)
    for part in (arguments, arguments.get("backbone_config", {})):
        if "window_size" in part:  # the windows of Swin are as large as its last stage has room for
            last = size // (part["patch_size"] * 2 ** (len(part["depths"]) - 1))
            part["window_size"] = max(1, min(part["window_size"], last))
    config = AutoConfig.for_model(kind, **arguments)
    if hasattr(config, "image_size"):
        config.image_size = size
    return config, size
