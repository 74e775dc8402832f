"""Small models, and how they are laid out: what a CPU trains from random weights in a minute."""

from __future__ import annotations

from typing import Any

__all__ = ["IMAGE_SIZE", "arguments_of", "type_of"]

#: In pixels, both sides; another one may be asked for.
IMAGE_SIZE = 96

_TRANSFORMER = {
    "hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 384, "patch_size": 8,
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
}


def type_of(preset: str) -> str:
    """transformers' ``model_type``."""
    return _LAYOUTS[preset][0]


def arguments_of(preset: str, size: int) -> dict[str, Any]:
    """What else its configuration is made with.

    Args:
        preset: Its name.
        size: Of its images in pixels, both sides: the windows of Swin are as large as its last stage has room for.
    """
    arguments = dict(_LAYOUTS[preset][1])
    if "window_size" in arguments:
        last = size // (arguments["patch_size"] * 2 ** (len(arguments["depths"]) - 1))
        arguments["window_size"] = max(1, min(arguments["window_size"], last))
    return arguments
