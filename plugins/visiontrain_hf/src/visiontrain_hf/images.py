"""How a model wants its images, out of what its maker's ``preprocessor_config.json`` says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from visiontrain.errors import WeightsError
from visiontrain.torchkit.transforms import ImageConfig

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "PREPROCESSOR",
    "default_image_config",
    "described",
    "own_size",
    "read_image_config",
    "read_preprocessor",
    "with_size",
]

#: The file that says it, beside a model's weights.
PREPROCESSOR = "preprocessor_config.json"

#: Where nothing is said: what most models of the hub were trained with.
_HALF = (0.5, 0.5, 0.5)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_LARGEST_RESIZED = 384

_USUAL_SIZE = 224


def default_image_config(size: int) -> ImageConfig:
    """For a model that is begun anew: square images, from -1 to 1, the middle of what was resized.

    Args:
        size: In pixels, both sides.
    """
    return ImageConfig((size, size), _HALF, _HALF, interpolation="bicubic", crop_pct=0.9)


def own_size(config: Any) -> int:
    """The size in pixels, both sides, that a classifier's configuration says; 224 where it says none."""
    own = getattr(config, "image_size", None)
    return int(own[0]) if isinstance(own, (list, tuple)) else int(own or _USUAL_SIZE)


def with_size(config: ImageConfig, size: int) -> ImageConfig:
    """The same at another size.

    Args:
        config: The model's own.
        size: In pixels, both sides.
    """
    return ImageConfig((size, size), config.mean, config.std, config.interpolation, config.crop_pct, config.crop_mode)


def read_image_config(path: Path, image_size: int) -> ImageConfig:
    """What a classifier's preprocessor's description means for us.

    Three ways are told apart: a crop out of the middle of an image whose shorter side was resized (``crop_size``), an
    image whose both sides are resized (a ``size`` with height and width and no crop), and ConvNeXt's, whose shorter
    side is resized to ``shortest_edge`` divided by ``crop_pct``.

    Args:
        path: The file.
        image_size: Of the model's configuration, where the file says none.

    Raises:
        WeightsError: the file can't be read, or says what no classifier's does.
    """
    return read_preprocessor(path, lambda told: _interpret(told, image_size))


def read_preprocessor(path: Path, interpret: Callable[[Mapping[str, Any]], ImageConfig]) -> ImageConfig:
    """What a preprocessor's description means for us.

    Args:
        path: The file.
        interpret: Says what its values mean; may raise ValueError, TypeError or KeyError.

    Raises:
        WeightsError: the file can't be read, or says what it can't.
    """
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, Mapping):
            raise TypeError("it is no object")
        return interpret(told)
    except (OSError, ValueError, TypeError, KeyError) as e:
        raise WeightsError(
            f"{path} does not say how the model wants its images: {e}",
            instruction="Mend it, or give the weights alone: --weights PATH with the model's architecture.",
        ) from e


def _interpret(told: Mapping[str, Any], image_size: int) -> ImageConfig:
    resized, crop_pct, mode = told.get("size", image_size), 1.0, "squash"
    if told.get("do_resize", True) is False:
        resized = image_size
    if told.get("do_center_crop") and told.get("crop_size") is not None:
        height, width = _sides(told["crop_size"])
        edge = _shortest(resized)
        if edge is None:
            first, second = _sides(resized)
            crop_pct = min(height / first, width / second)
        else:
            crop_pct, mode = min(1.0, height / edge), "center"
    else:
        edge = _shortest(resized)
        height, width = (edge, edge) if edge is not None else _sides(resized)
        if edge is not None:
            mode = "center"
            if edge < _LARGEST_RESIZED:  # above that ConvNeXt's processor resizes both sides and crops nothing
                crop_pct = float(told.get("crop_pct") or 1.0)
            elif "crop_pct" in told:
                mode = "squash"
    return described(told, (height, width), crop_pct=crop_pct, crop_mode=mode)


def described(told: Mapping[str, Any], size: tuple[int, int], *, crop_pct: float, crop_mode: str) -> ImageConfig:
    """Images of a size, with the colours and the interpolation that a preprocessor's description says.

    Args:
        told: The description.
        size: Height and width in pixels.
        crop_pct: See `ImageConfig`.
        crop_mode: Likewise.

    Raises:
        ValueError: it says what no images of ours are like.
    """
    if told.get("do_flip_channel_order"):
        raise ValueError("it wants blue before red, which we can't give it")
    mean, std = told.get("image_mean", IMAGENET_MEAN), told.get("image_std", IMAGENET_STD)
    if told.get("do_normalize", True) is False:
        mean, std = (0.0,) * 3, (1.0,) * 3
    if len(mean) != 3 or len(std) != 3:  # noqa: PLR2004 - red, green, blue
        raise ValueError("its mean or std is not of three channels")
    return ImageConfig(
        size,
        tuple(map(float, mean)),
        tuple(map(float, std)),
        interpolation=Image.Resampling(told.get("resample", Image.Resampling.BILINEAR)).name.lower(),
        crop_pct=crop_pct,
        crop_mode=crop_mode,
    )


def _shortest(size: Any) -> int | None:
    """The length that the shorter side is resized to, where that is what `size` says."""
    return int(size["shortest_edge"]) if isinstance(size, Mapping) and "shortest_edge" in size else None


def _sides(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    if isinstance(size, (list, tuple)):
        return int(size[0]), int(size[1])
    return int(size), int(size)
