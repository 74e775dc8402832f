"""A file with weights into a model: what fits is loaded, what does not is said or an error."""

from __future__ import annotations

import pickle
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from visiontrain.errors import WeightsError
from visiontrain.torchkit.checkpoint import FORMAT, read_checkpoint
from visiontrain.torchkit.loading import validated_weights
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_timm.parts import classifiers

__all__ = ["load_weights"]

State = dict[str, torch.Tensor]

#: Where training scripts keep the weights inside of a checkpoint.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")

_SHOWN = 8


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
    state, file_classes, images = _read(path)
    wanted = model.state_dict()
    heads = classifiers(model)
    state = _adapt(model, state)
    head = [k for k in wanted if any(k == h or k.startswith(f"{h}.") for h in heads)]
    other_size = any(k in state and state[k].shape != wanted[k].shape for k in head)
    other_names = file_classes is not None and file_classes != classes
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
                f"{len(keys)} weights {what}: {_list(keys)}"
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
        log(f"Not loaded, and begun anew: {_list(absent)} ({why}).")
    if surplus:
        log(f"In the file and of no use to this model: {_list(surplus)}.")
    return images


def _read(path: Path) -> tuple[State, tuple[str, ...] | None, ImageConfig | None]:
    """The weights by name; the class names, and how it had its images, where the file is one of ours."""
    instruction = "A safetensors file, a torch state dict (tensors and plain values) or a checkpoint of ours is right."
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path)), None, None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a kind of pickle that is refused with an error next
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(content, dict) and content.get("format") == FORMAT:
            checked = read_checkpoint(path)
            said = checked["metadata"]
            return validated_weights(checked), tuple(said["classes"]), ImageConfig.from_plain(said["image"])
    except pickle.UnpicklingError as e:
        raise WeightsError(f"{path} {_refusal(str(e))}", instruction=instruction) from e
    except (SafetensorError, ValueError) as e:
        raise WeightsError(f"{path} can't be read: {e}", instruction=instruction) from e
    except Exception as e:  # torch's unpickler raises many kinds on bytes that are not its own
        raise WeightsError(f"{path} can't be read: {type(e).__name__}: {e}", instruction=instruction) from e
    for key in _NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise WeightsError(f"{path} holds no weights by name", instruction=instruction)
    return {str(k).removeprefix("module.").removeprefix("_orig_mod."): v for k, v in content.items()}, None, None


def _refusal(said: str) -> str:
    """Why torch refused a file, without its advice: to load it nevertheless would run the code in it."""
    named = re.search(r"(?:GLOBAL|class) ([\w.]+)", said)
    if named is None:
        return "can't be read: it is no file of tensors and plain values"
    return f"is not loaded: it is more than tensors and plain values, and to load it would run code ({named[1]})"


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


def _list(keys: list[str]) -> str:
    shown = ", ".join(keys[:_SHOWN])
    return shown if len(keys) <= _SHOWN else f"{shown} and {len(keys) - _SHOWN} more"
