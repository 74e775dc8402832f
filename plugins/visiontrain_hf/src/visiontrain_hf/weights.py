"""Files with weights into a network: every weight but its classes' must be there and fit, or it is an error.

transformers brings the names in files to those of its present version while it loads (its own Trainer does not, and
loses most of a ViT). So files are loaded by it and by nothing else, and what it says of missing weights is heard.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from visiontrain.errors import WeightsError
from visiontrain.torchkit.weight_files import WeightFile, in_short, read_weight_file
from visiontrain_hf.kinds import HfModel, Kind
from visiontrain_hf.lora import merge_lora
from visiontrain_hf.rebuild import rebuild

__all__ = ["load_folder", "load_into", "read_weights"]

#: What our checkpoints have before a network's own names.
_PREFIX = "network."


def read_weights(path: Path, kind: Kind, custom_code: str | None = None) -> WeightFile:
    """Read a file without running code that may be in it.

    Args:
        path: The file.
        kind: What the model is for.
        custom_code: The place whose code may be run, if any.

    Returns:
        Its weights by transformers' names, of any version.

    Raises:
        WeightsError: it can't be read, holds no weights by name, or is a checkpoint of something else.
    """
    file = read_weight_file(path)
    if file.ours is None:
        return file
    if (file.ours.framework, file.ours.task) != ("hf", kind.task):
        raise WeightsError(
            f"{path} is a checkpoint of {file.ours.framework} for the task {file.ours.task}, not {kind.task} with hf",
            instruction="Give a checkpoint of that task, a safetensors file or a torch state dict.",
        )
    weights = file.state
    try:
        if file.ours.metadata["lora"] is not None:
            model = rebuild(kind, file.ours.metadata, custom_code)
            model.load_state_dict(weights, strict=True)
            merge_lora(model.network)
            weights = model.state_dict()
    except (KeyError, TypeError, ValueError, RuntimeError) as e:
        raise WeightsError(
            f"the model of {path} can't be built: {type(e).__name__}: {e}",
            instruction="Use the environment's generation that the run was trained with.",
        ) from e
    return replace(file, state={name.removeprefix(_PREFIX): value for name, value in weights.items()})


def load_into(
    found: type[Any],
    config: Any,
    weights: WeightFile,
    *,
    like: HfModel,
    classes: tuple[str, ...],
    log: Callable[[str], None],
) -> nn.Module:
    """A network with a file's weights; its classes' are begun anew where the file's classes are others.

    Args:
        found: transformers' class.
        config: Its configuration, for the data's classes.
        weights: From `read_weights`.
        like: The same model with random weights, which says what its parts are.
        classes: Class names by class index.
        log: Takes a sentence for the person.

    Raises:
        WeightsError: a weight is missing or does not fit.
    """
    state = dict(weights.state)
    if weights.ours is not None and weights.ours.classes != classes:
        state = {name: value for name, value in state.items() if not like.in_heads(name)}
    with tempfile.TemporaryDirectory(prefix="visiontrain-hf-") as folder:
        config.save_pretrained(folder)
        save_file({name: _alone(value) for name, value in state.items()}, Path(folder) / "model.safetensors")
        return load_folder(found, config, folder, like=like, log=log, said=str(weights.path))


def load_folder(
    kind: type[Any],
    config: Any,
    place: str,
    *,
    like: HfModel,
    log: Callable[[str], None],
    said: str,
    other_classes: bool = False,
) -> nn.Module:
    """A network with the weights of a folder, or of the hub's cache.

    Args:
        kind: transformers' class.
        config: Its configuration, for the data's classes.
        place: A folder, or a name on the hub.
        like: The same model with random weights, which says what its parts are.
        log: Takes a sentence for the person.
        said: What the person calls the place.
        other_classes: It says that its weights are for other classes than the data's, be they as many.

    Raises:
        WeightsError: a weight but the classes' is missing or does not fit.
        OSError: there are no weights in that place.
    """
    network, info = kind.from_pretrained(
        place, config=config, ignore_mismatched_sizes=True, output_loading_info=True, trust_remote_code=False,
        dtype=torch.float32,
    )  # fmt: skip
    missing = sorted(info["missing_keys"])
    misshapen = {name: (list(found), list(wanted)) for name, found, wanted in info["mismatched_keys"]}
    absent = _absent(like, missing)
    wrong = [name for name in missing if not like.in_heads(name) and not _within(name, absent)]
    wrong += [f"{name} {found} for {wanted}" for name, (found, wanted) in misshapen.items() if not like.in_heads(name)]
    if wrong or info["error_msgs"]:
        raise WeightsError(
            f"{said} does not fit {kind.__name__}: missing or of another shape are "
            f"{in_short(wrong) or '; '.join(info['error_msgs'])}",
            instruction="Give the model that the file was made with, or --scratch.",
        )
    anew = [*missing, *misshapen]
    if other_classes:
        begun = like.network.state_dict()
        for name, value in network.state_dict().items():
            if like.in_heads(name):
                value.copy_(begun[name])
                anew += [name] if name not in anew else []
    count = len(network.state_dict())
    log(f"Loaded {count - len(anew)} of {count} weights from {said}.")
    for_classes = sorted(name for name in anew if not _within(name, absent))
    if absent:
        log(f"Not there, and begun anew: all of {' and '.join(absent)}.")
    if for_classes:
        log(f"Not loaded, and begun anew: {in_short(for_classes)} (for the data's classes).")
    if info["unexpected_keys"]:
        log(f"There and of no use to this model: {in_short(sorted(info['unexpected_keys']))}.")
    loaded: nn.Module = network.eval()
    return loaded


def _alone(value: torch.Tensor) -> torch.Tensor:
    """In memory of its own: modules may share a weight, and a safetensors file refuses that."""
    return value.detach().clone(memory_format=torch.contiguous_format)


def _absent(like: HfModel, missing: list[str]) -> tuple[str, ...]:
    """The parts above the backbone, beside the classes' own, of which nothing is there: the file is of a backbone."""
    own = like.network.state_dict()
    parts = [part for part in like.above if part not in like.heads]
    return tuple(
        part for part in parts if all(name in missing for name in own if name.startswith(f"{part}.") and _learned(name))
    )


def _learned(name: str) -> bool:
    """Whether a file always has it where its module is there: old ones lack batch norm's counter."""
    return not name.endswith("num_batches_tracked")


def _within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)
