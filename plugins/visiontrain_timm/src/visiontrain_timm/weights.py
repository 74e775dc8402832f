"""A file with weights into a model: what fits is loaded, what does not is said or an error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

from visiontrain.errors import WeightsError
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain.torchkit.weight_files import State, in_short, read_weight_file
from visiontrain_timm.parts import classifiers

__all__ = ["load_weights"]


def load_weights(
    model: nn.Module, path: Path, *, classes: tuple[str, ...], log: Callable[[str], None]
) -> ImageConfig | None:
    """Load a safetensors file, a torch state dict, or one of our checkpoints into `model`.

    The classifier's weights are left out where the file was trained on other classes; every other weight must be
    there.

    Args:
        model: Changed in place.
        path: The file.
        classes: The model's class names, by class index.
        log: Takes a sentence for the person.

    Returns:
        How a checkpoint of ours had its images; None of other files.

    Raises:
        WeightsError: the file can't be read or does not fit.
    """
    file = read_weight_file(path)
    wanted = model.state_dict()
    heads = classifiers(model)
    state = _adapt(model, file.state)
    head = [k for k in wanted if any(k == h or k.startswith(f"{h}.") for h in heads)]
    other_size = any(k in state and state[k].shape != wanted[k].shape for k in head)
    other_names = file.ours is not None and file.ours.classes != classes
    left_out = [k for k in head if k in state] if other_size or other_names else []
    for key in left_out:
        del state[key]
    absent = [k for k in wanted if k not in state]
    missing = [k for k in absent if k not in head]
    misshapen = [
        f"{k} {list(state[k].shape)} for {list(v.shape)}"
        for k, v in wanted.items()
        if k in state and state[k].shape != v.shape
    ]
    if missing or misshapen:
        raise WeightsError(
            f"{path} does not fit the model: "
            + "; ".join(
                f"{len(keys)} weights {what}: {in_short(keys)}"
                for what, keys in (("missing", missing), ("of another shape", misshapen))
                if keys
            ),
            instruction="Give the model that the file was made with, or --scratch.",
        )
    surplus = [k for k in state if k not in wanted]
    result = model.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=False)
    if result.unexpected_keys:
        raise WeightsError(f"{path} does not fit the model: {result.unexpected_keys}")
    log(f"Loaded {len(wanted) - len(absent)} of {len(wanted)} weights from {path}.")
    if absent:
        why = "the file's classes are others" if left_out else "the file has none"
        log(f"Not loaded, and begun anew: {in_short(absent)} ({why}).")
    if surplus:
        log(f"In the file and of no use to this model: {in_short(surplus)}.")
    return None if file.ours is None else file.ours.images


def _adapt(model: nn.Module, state: State) -> State:
    """Let timm's own converter of the family bring other spellings, and other image sizes, into the model's form."""
    wanted = model.state_dict()
    if all(k in state and state[k].shape == v.shape for k, v in wanted.items()):
        return dict(state)
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return dict(state)
    try:
        return dict(convert(dict(state), model))
    except (KeyError, RuntimeError, ValueError, AttributeError, AssertionError):
        return dict(state)  # not a file of this family: what does not fit is said by name
