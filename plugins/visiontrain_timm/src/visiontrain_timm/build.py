"""From a model's name to a model: classes, image size, where its first weights come from."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from visiontrain.torchkit.hub import describe_weights, network  # isort: skip - before timm

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.models import get_pretrained_cfg, is_model, split_model_name_tag
from torch import nn

from visiontrain.errors import InputError, SpecError, UnknownModelError, WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain.torchkit.framework import Built
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.published import no_weights
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_timm.options import TimmOptions
from visiontrain_timm.weights import load_weights

__all__ = ["build_model", "rebuild_model"]

#: Arguments that come from the data, or matter in training alone.
_OURS = ("num_classes", "in_chans", "drop_rate", "drop_path_rate")


def build_model(
    name: str,
    *,
    classes: tuple[str, ...],
    image_size: int | None,
    weights: Weights,
    options: TimmOptions,
    log: Callable[[str], None],
    resumed: bool = False,
) -> Built:
    """Build a classifier.

    Args:
        name: As `timm.create_model` takes it.
        classes: Class names by class index.
        image_size: In pixels, both sides; None for the model's own.
        weights: Where the first weights come from.
        options: Dropout rates, and what the images are to be otherwise.
        log: Takes a sentence for the person.
        resumed: The weights will come from the run's own checkpoint.

    Raises:
        UnknownModelError: timm has no such model.
        SpecError: the model can't take the image size or an option.
        WeightsError: the weights can't be had or don't fit.
    """
    if not (resumed and _is_place(name)):
        _check_name(name, weights)
    arguments: dict[str, Any] = {"num_classes": len(classes), "in_chans": 3}
    for option in ("drop_rate", "drop_path_rate"):
        if getattr(options, option) is not None:
            arguments[option] = getattr(options, option)
    if weights.source == "pretrained":
        _announce(name, log)
    model, config = _create(name, image_size, arguments, pretrained=weights.source == "pretrained")
    config = _adjust(config, options)
    if weights.source == "file":
        before = load_weights(model, Path(weights.path or ""), classes=classes, log=log)
        if before is not None:
            _tell_changes(before, config, log)
    _try(model, name, config)
    return Built(model, config, _recipe(name, model))


def rebuild_model(saved: SavedModel, **arguments: Any) -> nn.Module:
    """The model of a checkpoint, with random weights still; nothing is fetched.

    Args:
        saved: What the checkpoint says.
        arguments: Further ones of `timm.create_model`.

    Raises:
        WeightsError: timm in this environment can't build it.
    """
    try:
        name, own = saved.metadata["architecture"], saved.metadata["arguments"]
    except KeyError as e:
        raise WeightsError(
            f"{saved.path} does not say how its model is built: it has no {e}",
            instruction="It was written by another version of visiontrain; use that one, or train again.",
        ) from e
    instruction = "Use the environment's generation that the run was trained with."
    arguments |= {**own, "num_classes": len(saved.classes), "in_chans": 3}
    try:
        _check_name(name, Weights("scratch"))
        model, _ = _create(name, None, arguments)
    except InputError as e:
        raise WeightsError(f"the model of {saved.path} can't be built: {e.reason}", instruction=instruction) from e
    except (TypeError, ValueError, RuntimeError, AssertionError) as e:
        reason = f"the model of {saved.path} can't be built: {type(e).__name__}: {e}"
        raise WeightsError(reason, instruction=instruction) from e
    return model


def _is_place(name: str) -> bool:
    """Whether a name says where a model is described, and not what it is."""
    return ":" in name


def _recipe(name: str, model: nn.Module) -> dict[str, Any]:
    """What the architecture is called, and what else it takes; where a name is a place, as that described it."""
    configured: Any = model.pretrained_cfg
    given: Any = model._model_args  # noqa: SLF001 - kept by timm for those who build a model again
    arguments = {k: v for k, v in given.items() if k not in _OURS}
    if not _is_place(name):
        return {"architecture": name, "arguments": arguments}
    if configured.get("fixed_input_size"):
        arguments.setdefault("img_size", list(configured["input_size"][1:]))
    return {"architecture": str(configured["architecture"]), "arguments": arguments}


def _check_name(name: str, weights: Weights) -> None:
    if name.startswith(("hf-hub:", "hf_hub:")):
        if weights.source != "pretrained":
            raise SpecError(
                "model",
                f"{name} is described on the Hugging Face hub, which is only reached for pretrained weights",
                instruction="Add --pretrained, or give the architecture's name.",
            )
        return
    if name.startswith("local-dir:"):
        return
    architecture, tag = split_model_name_tag(name)
    if not is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3)
        raise UnknownModelError(
            f"timm {timm.__version__} has no model {architecture!r}",
            instruction=f"Near: {', '.join(near)}." if near else "`visiontrain models` lists all of them.",
        )
    known = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in known:
        raise UnknownModelError(
            f"timm {timm.__version__} has no weights {tag!r} of {architecture}",
            instruction=f"There is {', '.join(known)}." if known else f"Give {architecture} alone: none are published.",
        )


def _announce(name: str, log: Callable[[str], None]) -> None:
    if name.startswith(("hf-hub:", "hf_hub:")):
        repository = name.partition(":")[2].removeprefix("//")
        log(describe_weights(repository, None, None))
        return
    if name.startswith("local-dir:"):
        return
    published = get_pretrained_cfg(name)
    if published is None or not published.has_weights:
        raise no_weights(f"no pretrained weights are published for {name}")
    if published.hf_hub_id:
        log(describe_weights(published.hf_hub_id, published.hf_hub_filename, published.license))
    else:
        log(f"Pretrained weights: downloading {published.url}, licence {published.license or 'not stated'}.")


def _create(
    name: str, image_size: int | None, arguments: dict[str, Any], *, pretrained: bool = False
) -> tuple[nn.Module, ImageConfig]:
    if image_size is not None and _fixed_size(name) not in (None, image_size):
        arguments = {**arguments, "img_size": image_size}
    try:
        with network() if pretrained else nullcontext():
            model = timm.create_model(name, pretrained=pretrained, **arguments)
    except TypeError as e:
        wrong = next((word for word in arguments if repr(word) in str(e)), None)
        if wrong is None:
            raise
        field = "image_size" if wrong == "img_size" else wrong
        raise SpecError(field, f"{name} can't be built with another {field} than its own") from e
    except OSError as e:  # the network or the disk, whatever the image size
        if pretrained or _is_place(name):
            raise _unavailable(name, e, pretrained=pretrained) from e
        raise
    except (AssertionError, ValueError, RuntimeError) as e:
        if "img_size" in arguments:
            raise SpecError("image_size", f"{name} can't be built for {image_size} pixels: {e}") from e
        if pretrained:
            raise no_weights(f"the pretrained weights of {name} can't be loaded: {e}") from e
        raise
    if not isinstance(model, nn.Module):
        raise TypeError(f"timm made a {type(model).__name__} of {name}")
    config = _image_config(model, image_size)
    _check_patches(model, name, config)
    return model, config


def _unavailable(name: str, error: OSError, *, pretrained: bool) -> WeightsError:
    if pretrained:
        return no_weights(f"the pretrained weights of {name} can't be had: {error}")
    return WeightsError(f"the description of {name} can't be had any more: {error}")


def _image_config(model: nn.Module, image_size: int | None) -> ImageConfig:
    """What the model's own configuration says, at another size where one is given."""
    found: dict[str, Any] = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    own = found["input_size"][1:]
    return ImageConfig(
        size=(own[0], own[1]) if image_size is None else (image_size, image_size),
        mean=tuple(found["mean"]),
        std=tuple(found["std"]),
        interpolation=found["interpolation"],
        crop_pct=found["crop_pct"],
        crop_mode=found["crop_mode"],
    )


def _adjust(config: ImageConfig, options: TimmOptions) -> ImageConfig:
    """What the options say, where they do, instead of what the model says."""
    changes: dict[str, Any] = {"mean": options.channels("mean"), "std": options.channels("std")}
    changes |= {"interpolation": options.interpolation, "crop_pct": options.crop_pct}
    return replace(config, **{name: value for name, value in changes.items() if value is not None})


def _tell_changes(before: ImageConfig, config: ImageConfig, log: Callable[[str], None]) -> None:
    """Say where images look otherwise to the model than they did when its weights were trained."""
    changed = [name for name in ("mean", "std", "interpolation") if getattr(before, name) != getattr(config, name)]
    if changed:
        of_file = ", ".join(f"{name} {_in_words(getattr(before, name))}" for name in changed)
        here = ", ".join(f"{name} {_in_words(getattr(config, name))}" for name in changed)
        options = " ".join(f"--set {name}={_in_words(getattr(before, name))}" for name in changed)
        log(f"The file's weights were trained with {of_file}; this training has {here}. To go on as there: {options}.")


def _in_words(value: str | tuple[float, ...]) -> str:
    return value if isinstance(value, str) else ",".join(f"{number:g}" for number in value)


def _check_patches(model: nn.Module, name: str, config: ImageConfig) -> None:
    # timm builds such a model without a word; it would never see the pixels beyond the last whole patch
    embed = getattr(model, "patch_embed", None)
    patch = getattr(embed, "patch_size", None)
    if _fixed_size(name) is None or not isinstance(patch, tuple) or getattr(embed, "dynamic_img_pad", False):
        return
    if any(side % step for side, step in zip(config.size, patch, strict=False)):
        raise SpecError("image_size", f"must be a multiple of {patch[0]} for {name}, not {config.size[0]}")


def _fixed_size(name: str) -> int | None:
    """The image size that a model is built for, where it is built for one."""
    if _is_place(name):
        return None
    published = get_pretrained_cfg(name)
    if published is None or not published.fixed_input_size:
        return None
    return int(published.input_size[1])


def _try(model: nn.Module, name: str, config: ImageConfig) -> None:
    """One image through the model: the errors of an image size come now, not after the data has been loaded."""
    model.eval()
    height, width = config.size
    try:
        with torch.inference_mode():
            out = model(torch.zeros(1, 3, height, width))
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError) as e:
        raise SpecError(
            "image_size", f"{name} can't compute images of {height} x {width} pixels: {e}",
            instruction="Leave --image-size out: the model's own size is then taken.",
        ) from e  # fmt: skip
    if not isinstance(out, torch.Tensor) or out.ndim != 2:  # noqa: PLR2004 - (batch, classes)
        raise SpecError("model", f"{name} does not give one row of class scores an image: it is no classifier")
