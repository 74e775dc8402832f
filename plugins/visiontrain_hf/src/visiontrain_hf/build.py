"""From a model's name to a model: a preset, a name on the hub, or a folder; and its first weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from visiontrain.torchkit.hub import describe_weights, network  # isort: skip - before transformers

import torch
from transformers import AutoConfig, PreTrainedConfig
from transformers.utils.hub import cached_file

from visiontrain.errors import SpecError, UnknownModelError, WeightsError
from visiontrain.protocol.messages import TrainParams
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.checkpoint import read_first
from visiontrain.torchkit.framework import Built
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.published import no_weights
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.custom_code import code_of, load_code
from visiontrain_hf.images import PREPROCESSOR, with_size
from visiontrain_hf.kinds import HfModel, Kind
from visiontrain_hf.lora import leave_all_but_lora, train_lora_alone
from visiontrain_hf.names import PRESETS, is_place, preset_of
from visiontrain_hf.options import HfOptions
from visiontrain_hf.presets import config_of
from visiontrain_hf.rebuild import plain_config, rebuild
from visiontrain_hf.tasks import KINDS
from visiontrain_hf.weights import load_folder, load_into, read_weights

__all__ = ["build_model", "rebuild_model"]


def build_model(params: TrainParams, options: HfOptions, classes: tuple[str, ...], log: Callable[[str], None]) -> Built:
    """See `visiontrain.torchkit.framework.Framework.build`."""
    kind = KINDS[Task(params.task)]
    checkpoints = [Path(path) for path in params.resume.checkpoints] if params.resume else []
    found = read_first(checkpoints, warn=lambda _: None)  # told when the run goes on from it
    # A run that goes on fetches nothing, and the folder that it began with may be gone.
    model, images, recipe = (
        _anew(kind, params, options, classes, log) if found is None else _again(kind, found[1], options)
    )
    model.begun_trained = params.weights.source != "scratch"
    if options.activation_checkpointing:
        model.checkpoint_activations()
    return Built(model, images, recipe)


def _again(kind: Kind, payload: Mapping[str, Any], options: HfOptions) -> tuple[HfModel, ImageConfig, dict[str, Any]]:
    """The model of a run that goes on."""
    metadata = payload["metadata"]
    model = rebuild(kind, metadata, options.custom_code)
    if metadata["lora"] is not None:
        leave_all_but_lora(model.network, model.above)
    images = ImageConfig.from_plain(metadata["image"])
    _try(model, str(metadata["model"]), images)
    return model, images, {name: metadata[name] for name in ("config", "own", "lora", "code")}


def _anew(
    kind: Kind, params: TrainParams, options: HfOptions, classes: tuple[str, ...], log: Callable[[str], None]
) -> tuple[HfModel, ImageConfig, dict[str, Any]]:
    name = params.model
    described = _describe(kind, params, options, log)
    config, images, found = described.config, described.images, described.network
    if found is None:
        raise SpecError(
            "model", f"{name} is a {config.model_type}, with which transformers can't {kind.doing}",
            instruction="Give another model.",
        )  # fmt: skip
    kind.prepare(config)
    config.id2label = dict(enumerate(classes))
    config.label2id = {label: number for number, label in enumerate(classes)}
    config.num_labels = len(classes)
    own = kind.own(found, config, images)
    model = _with_weights(
        kind, found, config, own=own, params=params, custom_code=options.custom_code, classes=classes, log=log
    )
    images = _adjust(images, options)
    _try(model, name, images)
    recipe = {"config": plain_config(config), "own": own, "lora": None, "code": described.code}
    if options.lora_rank > 0:
        if params.weights.source == "scratch":
            raise SpecError(
                "lora_rank",
                "would keep random weights as they are",
                instruction="Begin with trained ones: --pretrained, or --weights PATH.",
            )
        recipe["lora"] = train_lora_alone(
            model.network, model.above, options, compute=lambda: _try(model, name, images), log=log
        )
    return model, images, recipe


@dataclass(frozen=True)
class _Described:
    """What a model is like.

    Args:
        config: Its configuration of transformers.
        images: How it wants its images.
        network: Its class; None where there is none for the task.
        code: What a checkpoint says of code that it brings; None: transformers' own.
    """

    config: Any
    images: ImageConfig
    network: type[Any] | None
    code: dict[str, str | None] | None = None


def _describe(kind: Kind, params: TrainParams, options: HfOptions, log: Callable[[str], None]) -> _Described:
    """What the model is like, by its name."""
    name, pretrained = params.model, params.weights.source == "pretrained"
    preset = preset_of(name)
    if preset is not None:
        if kind.task not in PRESETS[preset]:
            fitting = ", ".join(other for other, tasks in PRESETS.items() if kind.task in tasks)
            raise SpecError(
                "model", f"{preset} can't {kind.doing}", instruction=f"Give {fitting}, a name on the hub or a folder."
            )
        if pretrained:
            raise no_weights(f"no pretrained weights of {preset} are published: it is for training from scratch")
        code_of(name, {}, kind.task, options.custom_code)
        config, size = config_of(preset, params.image_size)
        return _Described(config, kind.default_images(size), kind.find(config))
    if is_place(name):
        return _of_place(kind, name, params.image_size, custom_code=options.custom_code, fetch=pretrained, log=log)
    raise UnknownModelError(
        f"transformers has no model {name!r}",
        instruction=f"Give {', '.join(PRESETS)}, a name on the hub (google/vit-base-patch16-224) or a folder.",
    )


def _with_weights(
    kind: Kind,
    found: type[Any],
    config: Any,
    *,
    own: Mapping[str, Any],
    params: TrainParams,
    custom_code: str | None,
    classes: tuple[str, ...],
    log: Callable[[str], None],
) -> HfModel:
    name = params.model
    try:
        made = kind.wrap(found(config), config, own)
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError, ImportError) as e:
        raise SpecError("model", f"{name} can't be built: {e}") from e
    if params.weights.source == "scratch":
        kind.begin(made.network)
        return made
    if params.weights.source == "file":
        weights = read_weights(Path(params.weights.path or ""), kind, custom_code)
        filled = load_into(found, config, weights, like=made, classes=classes, log=log)
        return kind.wrap(filled, config, own)
    with network():
        try:
            return kind.wrap(load_folder(found, config, name, like=made, log=log, said=name), config, own)
        except OSError as e:
            raise no_weights(f"the pretrained weights of {name} can't be had: {e}") from e


def rebuild_model(saved: SavedModel, options: HfOptions) -> HfModel:
    """See `visiontrain.torchkit.framework.Framework.rebuild`."""
    try:
        return rebuild(KINDS[Task(saved.task)], saved.metadata, options.custom_code)
    except (KeyError, TypeError, ValueError) as e:
        raise WeightsError(
            f"the model of {saved.path} can't be built: {type(e).__name__}: {e}",
            instruction="Use the environment's generation that the run was trained with.",
        ) from e


def _of_place(
    kind: Kind,
    name: str,
    image_size: int | None,
    *,
    custom_code: str | None,
    fetch: bool,
    log: Callable[[str], None],
) -> _Described:
    """A description out of a folder or from the hub, and how the model wants its images."""
    folder = Path(name).is_dir()
    if not folder and fetch:
        log(describe_weights(name, None, None))
    with network() if fetch and not folder else nullcontext():
        try:
            told, _ = PreTrainedConfig.get_config_dict(name)
            wanted = code_of(name, told, kind.task, custom_code)
            loaded = None if wanted is None else load_code(wanted)
            config = (
                AutoConfig.from_pretrained(name, trust_remote_code=False)
                if loaded is None
                else loaded.config.from_pretrained(name)
            )
            file = cached_file(name, PREPROCESSOR, _raise_exceptions_for_missing_entries=False)
        except (OSError, ValueError) as e:
            raise WeightsError(
                f"the description of {name} can't be had: {e}",
                instruction="Give a folder with config.json in it, or a preset such as vit-tiny.",
            ) from e
    own = kind.image_size(config)
    images = kind.default_images(own) if file is None else kind.read_images(Path(file), own)
    if file is None:
        log(
            f"{name} does not say how it wants its images ({PREPROCESSOR}): {images.size[0]} px, "
            f"mean {images.mean[0]:g}, std {images.std[0]:g}."
        )
    if image_size is not None:
        images = with_size(images, image_size)
    if loaded is None:
        return _Described(config, images, kind.find(config))
    log(f"Python code of {loaded.code.place} is run, as was asked for.")
    return _Described(config, images, loaded.network, loaded.code.to_plain())


def _adjust(config: ImageConfig, options: HfOptions) -> ImageConfig:
    """What the options say, where they do, instead of what the model says."""
    changes: dict[str, Any] = {"mean": options.channels("mean"), "std": options.channels("std")}
    changes |= {"interpolation": options.interpolation, "crop_pct": options.crop_pct}
    changes |= {"crop_mode": options.resize}
    return replace(config, **{name: value for name, value in changes.items() if value is not None})


def _try(model: HfModel, name: str, images: ImageConfig) -> None:
    """One image through the model: the errors of an image size come now, not after the data has been loaded."""
    model.eval()
    try:
        # Not in inference mode: BEiT keeps what it then makes, and training could not use it.
        with torch.no_grad():
            model.try_out(torch.zeros(1, 3, *images.size))
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError) as e:
        raise SpecError(
            "image_size", f"{name} can't compute images of {images.size[0]} x {images.size[1]} pixels: {e}",
            instruction="Leave --image-size out: the model's own size is then taken.",
        ) from e  # fmt: skip
