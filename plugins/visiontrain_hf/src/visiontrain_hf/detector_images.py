"""How a detector wants its images, out of what its maker's ``preprocessor_config.json`` says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.images import IMAGENET_MEAN, IMAGENET_STD, described, read_preprocessor

__all__ = ["default_detector_images", "detector_size", "read_detector_images"]

_USUAL_SIZE = 640


def detector_size(config: Any) -> int:
    """The size in pixels, both sides, that a detector's configuration says; 640 where it says none."""
    own = getattr(config, "image_size", None)
    return int(max(own)) if isinstance(own, (list, tuple)) else int(own or _USUAL_SIZE)


def default_detector_images(size: int) -> ImageConfig:
    """For a model that is begun anew: both sides are resized.

    Args:
        size: In pixels, both sides.
    """
    return ImageConfig((size, size), IMAGENET_MEAN, IMAGENET_STD, "bilinear", crop_pct=1.0, crop_mode="squash")


def read_detector_images(path: Path, image_size: int) -> ImageConfig:
    """What a detector's preprocessor's description means for us.

    Two ways are told apart: both sides are resized to ``height`` and ``width`` (RT-DETR, D-FINE), or the image keeps
    its shape and is padded (DETR, YOLOS). DETR's are as large as ``shortest_edge`` and ``longest_edge`` allow, each
    another size; here all are laid on a square whose sides are ``shortest_edge``.

    Args:
        path: The file.
        image_size: Of the model's configuration, where the file says none.

    Raises:
        WeightsError: the file can't be read, or says what no detector's does.
    """
    return read_preprocessor(path, lambda told: _interpret(told, image_size))


def _interpret(told: Mapping[str, Any], image_size: int) -> ImageConfig:
    size, mode = told.get("size", image_size), "squash"
    if isinstance(size, Mapping) and "shortest_edge" in size:
        height = width = int(size["shortest_edge"])
        mode = "border"
    elif isinstance(size, Mapping):
        height, width = int(size["height"]), int(size["width"])
    else:  # an older file of DETR's says the shorter edge alone
        height = width = int(size)
        mode = "border" if "size" in told else "squash"
    return described(told, (height, width), crop_pct=1.0, crop_mode=mode)
