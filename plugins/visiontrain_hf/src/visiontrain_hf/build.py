"""From a model's name to a classifier: a preset, a name on the hub, or a folder; and its first weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from visiontrain.torchkit.hub import describe_weights, network  # isort: skip - before transformers

import torch
from torch import nn
from transformers import AutoConfig
from transformers.utils.hub import cached_file

from visiontrain.errors import SpecError, UnknownModelError, WeightsError
from visiontrain.protocol.messages import TrainParams
from visiontrain.torchkit.checkpoint import read_first
from visiontrain.torchkit.classification.framework import Built
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.published import no_weights
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.classifier import HfClassifier, classifier_class, head_of, interpolates
from visiontrain_hf.images import PREPROCESSOR, default_image_config, read_image_config, with_size
from visiontrain_hf.lora import leave_all_but_lora, train_lora_alone
from visiontrain_hf.names import PRESETS, is_place, preset_of
from visiontrain_hf.options import HfOptions
from visiontrain_hf.presets import IMAGE_SIZE, arguments_of, type_of
from visiontrain_hf.rebuild import plain_config, rebuild
from visiontrain_hf.weights import load_folder, load_into, read_weights

__all__ = ["build_classifier", "rebuild_classifier"]


def build_classifier(
    params: TrainParams, options: HfOptions, classes: tuple[str, ...], log: Callable[[str], None]
) -> Built:
    """See `ClassifierFramework.build`."""
    checkpoints = [Path(path) for path in params.resume.checkpoints] if params.resume else []
    found = read_first(checkpoints, warn=lambda _: None)  # told when the run goes on from it
    # A run that goes on fetches nothing, and the folder that it began with may be gone.
    built = _anew(params, options, classes, log) if found is None else _again(found[1]["metadata"])
    if options.activation_checkpointing:
        _checkpoint_activations(built.model.network, params.model)
    return built


def _again(metadata: Mapping[str, Any]) -> Built:
    """The model of a run that goes on."""
    model = rebuild(metadata)
    if metadata["lora"] is not None:
        leave_all_but_lora(model.network, head_of(model.network))
    images = ImageConfig.from_plain(metadata["image"])
    _try(model, str(metadata["model"]), images)
    return Built(model, images, {name: metadata[name] for name in ("config", "interpolate", "lora")})


def _anew(params: TrainParams, options: HfOptions, classes: tuple[str, ...], log: Callable[[str], None]) -> Built:
    name = params.model
    config, images = _describe(params, log)
    kind = classifier_class(config)
    if kind is None:
        raise SpecError(
            "model", f"{name} is a {config.model_type}, with which transformers can't classify images",
            instruction="Give another model.",
        )  # fmt: skip
    config.id2label = dict(enumerate(classes))
    config.label2id = {label: number for number, label in enumerate(classes)}
    config.num_labels = len(classes)
    network = _with_weights(kind, config, params, classes, log)
    model = HfClassifier(network, interpolate=_other_size(config, images) and interpolates(network))
    images = _adjust(images, options)
    _try(model, name, images)
    recipe = {"config": plain_config(config), "interpolate": model.interpolate, "lora": None}
    if options.lora_rank > 0:
        if params.weights.source == "scratch":
            raise SpecError(
                "lora_rank",
                "would keep random weights as they are",
                instruction="Begin with trained ones: --pretrained, or --weights PATH.",
            )
        recipe["lora"] = train_lora_alone(network, head_of(network), options, log)
    return Built(model, images, recipe)


def _describe(params: TrainParams, log: Callable[[str], None]) -> tuple[Any, ImageConfig]:
    """What the model is like, and how it wants its images."""
    name, pretrained = params.model, params.weights.source == "pretrained"
    preset = preset_of(name)
    if preset is not None:
        if pretrained:
            raise no_weights(f"no pretrained weights of {preset} are published: it is for training from scratch")
        return _of_preset(preset, params.image_size)
    if is_place(name):
        return _of_place(name, params.image_size, fetch=pretrained, log=log)
    raise UnknownModelError(
        f"transformers has no model {name!r}",
        instruction=f"Give {', '.join(PRESETS)}, a name on the hub (google/vit-base-patch16-224) or a folder.",
    )


def _with_weights(
    kind: type[Any], config: Any, params: TrainParams, classes: tuple[str, ...], log: Callable[[str], None]
) -> nn.Module:
    name = params.model
    try:
        made: nn.Module = kind(config)
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as e:
        raise SpecError("model", f"{name} can't be built: {e}") from e
    if params.weights.source == "scratch":
        return made
    head = head_of(made)
    if params.weights.source == "file":
        weights = read_weights(Path(params.weights.path or ""))
        return load_into(kind, config, weights, head=head, classes=classes, log=log)
    with network():
        try:
            return load_folder(kind, config, name, head=head, log=log, said=name)
        except OSError as e:
            raise no_weights(f"the pretrained weights of {name} can't be had: {e}") from e


def rebuild_classifier(saved: SavedModel) -> HfClassifier:
    """See `ClassifierFramework.rebuild`."""
    try:
        return rebuild(saved.metadata)
    except (KeyError, TypeError, ValueError) as e:
        raise WeightsError(
            f"the model of {saved.path} can't be built: {type(e).__name__}: {e}",
            instruction="Use the environment's generation that the run was trained with.",
        ) from e


def _of_preset(preset: str, image_size: int | None) -> tuple[Any, ImageConfig]:
    size = image_size or IMAGE_SIZE
    arguments = arguments_of(preset, size)
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


def _checkpoint_activations(network: Any, name: str) -> None:
    if not network.supports_gradient_checkpointing:
        raise SpecError("activation_checkpointing", f"can't be had with {name}", instruction="Leave it out.")
    network.activation_checkpointing_enable()


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
        # Not in inference mode: BEiT keeps what it then makes, and training could not use it.
        with torch.no_grad():
            out = model(torch.zeros(1, 3, *images.size))
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError) as e:
        raise SpecError(
            "image_size", f"{name} can't compute images of {images.size[0]} x {images.size[1]} pixels: {e}",
            instruction="Leave --image-size out: the model's own size is then taken.",
        ) from e  # fmt: skip
    if not isinstance(out, torch.Tensor) or out.ndim != 2:  # noqa: PLR2004 - (batch, classes)
        raise SpecError("model", f"{name} does not give one row of class scores an image: it is no classifier")
