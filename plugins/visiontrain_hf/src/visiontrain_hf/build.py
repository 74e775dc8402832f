"""From a model's name to a classifier: a preset, a name on the hub, or a folder; and its first weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from visiontrain.torchkit.hub import describe_weights, network  # isort: skip - before transformers

import torch
from torch import nn
from transformers import AutoConfig
from transformers.utils import cached_file

from visiontrain.errors import SpecError, UnknownModelError, WeightsError
from visiontrain.protocol.messages import TrainParams
from visiontrain.torchkit.classification.framework import Built
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.published import no_weights
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.classifier import HfClassifier, classifier_class, head_of, interpolates
from visiontrain_hf.images import PREPROCESSOR, default_image_config, read_image_config, with_size
from visiontrain_hf.names import PRESETS, is_place, preset_of
from visiontrain_hf.options import HfOptions
from visiontrain_hf.presets import IMAGE_SIZE, arguments_of, type_of
from visiontrain_hf.weights import load_folder, load_into, read_weights

__all__ = ["build_classifier", "rebuild_classifier"]


def build_classifier(
    params: TrainParams, options: HfOptions, classes: tuple[str, ...], log: Callable[[str], None]
) -> Built:
    """See `ClassifierFramework.build`."""
    name, source = params.model, params.weights.source
    resumed = bool(params.resume and params.resume.checkpoints)
    fetch = source == "pretrained" and not resumed
    preset = preset_of(name)
    if preset is not None:
        if fetch:
            raise no_weights(
                f"no pretrained weights of {preset} are published: it is laid out for training from scratch"
            )
        config, images = _of_preset(preset, params.image_size)
    elif is_place(name):
        config, images = _of_place(name, params.image_size, fetch=source == "pretrained", log=log)
    else:
        raise UnknownModelError(
            f"transformers has no model {name!r}",
            instruction=f"Give {', '.join(PRESETS)}, a name on the hub (google/vit-base-patch16-224) or a folder.",
        )
    kind = classifier_class(config)
    if kind is None:
        raise SpecError(
            "model", f"{name} is a {config.model_type}, with which transformers can't classify images",
            instruction="Give another model.",
        )  # fmt: skip
    _lay_out(config, classes, multi_label=False)
    made = _make(kind, config, name)
    head = head_of(made)
    if not resumed and source == "file":
        weights = read_weights(Path(params.weights.path or ""))
        made = load_into(kind, config, weights, head=head, classes=classes, log=log)
    elif fetch:
        with network():
            try:
                made = load_folder(kind, config, name, head=head, log=log, said=name)
            except OSError as e:
                raise no_weights(f"the pretrained weights of {name} can't be had: {e}") from e
    model = HfClassifier(made, interpolate=_other_size(config, images) and interpolates(made))
    images = _adjust(images, options)
    _try(model, name, images)
    return Built(model, images, {"config": _plain(config), "interpolate": bool(model._arguments)})  # noqa: SLF001


def rebuild_classifier(saved: SavedModel) -> HfClassifier:
    """See `ClassifierFramework.rebuild`."""
    try:
        told: dict[str, Any] = dict(saved.metadata["config"])
        config = AutoConfig.for_model(told.pop("model_type"), **told)
        kind = classifier_class(config)
        if kind is None:
            raise ValueError(f"transformers can't classify with a {config.model_type}")
        return HfClassifier(_make(kind, config, saved.model), interpolate=bool(saved.metadata["interpolate"]))
    except (KeyError, TypeError, ValueError, SpecError) as e:
        raise WeightsError(
            f"the model of {saved.path} can't be built: {e}",
            instruction="Use the environment's generation that the run was trained with.",
        ) from e


def _of_preset(preset: str, image_size: int | None) -> tuple[Any, ImageConfig]:
    size = image_size or IMAGE_SIZE
    arguments = arguments_of(preset)
    config = AutoConfig.for_model(type_of(preset), **arguments)
    if hasattr(config, "image_size"):
        config.image_size = size
    return config, default_image_config(size)


def _of_place(name: str, image_size: int | None, *, fetch: bool, log: Callable[[str], None]) -> tuple[Any, ImageConfig]:
    """A description out of a folder or from the hub, and how the model wants its images."""
    folder = Path(name).is_dir()
    if not folder and fetch:
        log(describe_weights(name, None, None))
    with network() if fetch and not folder else nullcontext():
        try:
            config = AutoConfig.from_pretrained(name, trust_remote_code=False)
            file = cached_file(name, PREPROCESSOR, _raise_exceptions_for_missing_entries=False)
        except (OSError, ValueError) as e:
            raise WeightsError(
                f"the description of {name} can't be had: {e}",
                instruction="Give a folder with config.json in it, or a preset such as vit-tiny.",
            ) from e
    own = getattr(config, "image_size", None)
    own = int(own[0]) if isinstance(own, (list, tuple)) else int(own or 224)
    images = default_image_config(own) if file is None else read_image_config(Path(file), image_size=own)
    if file is None:
        log(f"{name} does not say how it wants its images ({PREPROCESSOR}): {images.size[0]} px, from -1 to 1.")
    return config, images if image_size is None else with_size(images, image_size)


def _lay_out(config: Any, classes: tuple[str, ...], *, multi_label: bool) -> None:
    """Let it tell the data's classes apart."""
    del multi_label  # scores are the same; what becomes of them is ours
    config.id2label = dict(enumerate(classes))
    config.label2id = {label: number for number, label in enumerate(classes)}
    config.num_labels = len(classes)


def _make(kind: type[Any], config: Any, name: str) -> nn.Module:
    try:
        network: nn.Module = kind(config)
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as e:
        raise SpecError("model", f"{name} can't be built: {e}") from e
    return network


def _other_size(config: Any, images: ImageConfig) -> bool:
    own = getattr(config, "image_size", None)
    if own is None:
        return False
    return images.size != (tuple(own) if isinstance(own, (list, tuple)) else (own, own))


def _adjust(config: ImageConfig, options: HfOptions) -> ImageConfig:
    """What the options say, where they do, instead of what the model says."""
    changes: dict[str, Any] = {"mean": options.channels("mean"), "std": options.channels("std")}
    changes |= {"interpolation": options.interpolation, "crop_pct": options.crop_pct}
    return replace(config, **{name: value for name, value in changes.items() if value is not None})


def _try(model: nn.Module, name: str, images: ImageConfig) -> None:
    """One image through the model: the errors of an image size come now, not after the data has been loaded."""
    model.eval()
    try:
        with torch.inference_mode():
            out = model(torch.zeros(1, 3, *images.size))
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError) as e:
        raise SpecError(
            "image_size", f"{name} can't compute images of {images.size[0]} x {images.size[1]} pixels: {e}",
            instruction="Leave --image-size out: the model's own size is then taken.",
        ) from e  # fmt: skip
    if not isinstance(out, torch.Tensor) or out.ndim != 2:  # noqa: PLR2004 - (batch, classes)
        raise SpecError("model", f"{name} does not give one row of class scores an image: it is no classifier")


def _plain(config: Any) -> dict[str, Any]:
    """A configuration as plain values, without what only describes where it came from."""
    found: dict[str, Any] = config.to_dict()
    for name in ("_name_or_path", "transformers_version", "architectures", "dtype"):
        found.pop(name, None)
    return found
