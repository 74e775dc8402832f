"""Files that a training may begin with: read without running code that may be in them."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from visiontrain.errors import WeightsError
from visiontrain.torchkit.checkpoint import FORMAT, read_checkpoint
from visiontrain.torchkit.loading import validated_weights
from visiontrain.torchkit.transforms import ImageConfig

__all__ = ["Ours", "State", "WeightFile", "in_short", "read_weight_file", "tell_other_images"]

State = dict[str, torch.Tensor]

_KINDS = "A safetensors file, a torch state dict (tensors and plain values) or a checkpoint of ours is right."

#: Where training scripts keep the weights inside of a checkpoint.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")

#: What wrappers of torch put before a model's own names.
_WRAPPED = ("module.", "_orig_mod.")

_SHOWN = 8


@dataclass(frozen=True)
class Ours:
    """What a checkpoint of ours says of its model.

    Args:
        framework: Whose plugin wrote it.
        task: What it was trained for.
        classes: Class names by class index.
        images: How it had its images.
        metadata: All of it.
    """

    framework: str
    task: str
    classes: tuple[str, ...]
    images: ImageConfig
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class WeightFile:
    """What a file holds.

    Args:
        path: The file.
        state: Weights by name, on the CPU; of a checkpoint of ours those that its run validates.
        ours: What a checkpoint of ours says of its model; None of other files.
    """

    path: Path
    state: State
    ours: Ours | None = None


def read_weight_file(path: Path) -> WeightFile:
    """Read a safetensors file, a torch state dict, also one nested in a script's checkpoint, or a checkpoint of ours.

    Raises:
        WeightsError: it can't be read, holds no weights by name, or loading it would run code.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            return WeightFile(path, dict(load_file(path)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a kind of pickle that is refused with an error next
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(content, dict) and content.get("format") == FORMAT:
            payload = read_checkpoint(path)  # with its checksums
            return WeightFile(path, validated_weights(payload), _ours(payload["metadata"]))
    except pickle.UnpicklingError as e:
        raise WeightsError(f"{path} {_refusal(str(e))}", instruction=_KINDS) from e
    except (SafetensorError, ValueError) as e:
        raise WeightsError(f"{path} can't be read: {e}", instruction=_KINDS) from e
    except Exception as e:  # torch's unpickler raises many kinds on bytes that are not its own
        raise WeightsError(
            f"{path} can't be read: it is no file of weights, or it is damaged ({type(e).__name__}: {e})",
            instruction=_KINDS,
        ) from e
    content = next((content[key] for key in _NESTED if isinstance(content, dict) and _is_dict(content, key)), content)
    if not isinstance(content, dict) or not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise WeightsError(f"{path} holds no weights by name", instruction=_KINDS)
    return WeightFile(path, {_bare(str(name)): value for name, value in content.items()})


def tell_other_images(before: ImageConfig, here: ImageConfig, log: Callable[[str], None]) -> None:
    """Say where images look otherwise to a model than they did when its weights were trained.

    Args:
        before: How a file's weights had their images.
        here: How this training has them.
        log: Takes a sentence for the person.
    """
    changed = [name for name in ("mean", "std", "interpolation") if getattr(before, name) != getattr(here, name)]
    if changed:
        of_file = ", ".join(f"{name} {_in_words(getattr(before, name))}" for name in changed)
        now = ", ".join(f"{name} {_in_words(getattr(here, name))}" for name in changed)
        options = " ".join(f"--set {name}={_in_words(getattr(before, name))}" for name in changed)
        log(f"The file's weights were trained with {of_file}; this training has {now}. To go on as there: {options}.")


def in_short(names: Sequence[str]) -> str:
    """Names with commas between them, the first eight of many."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _ours(said: Mapping[str, Any]) -> Ours:
    images = ImageConfig.from_plain(said["image"])
    return Ours(str(said["framework"]), str(said["task"]), tuple(said["classes"]), images, said)


def _is_dict(content: dict[Any, Any], key: str) -> bool:
    return isinstance(content.get(key), dict)


def _bare(name: str) -> str:
    for prefix in _WRAPPED:
        name = name.removeprefix(prefix)
    return name


def _in_words(value: str | tuple[float, ...]) -> str:
    return value if isinstance(value, str) else ",".join(f"{number:g}" for number in value)


def _refusal(said: str) -> str:
    """Why torch refused a file, without its advice: to load it nevertheless would run the code in it."""
    named = re.search(r"(?:GLOBAL|class) ([\w.]+)", said)
    if named is None:
        return "can't be read: it is no file of tensors and plain values"
    return f"is not loaded: it is more than tensors and plain values, and to load it would run code ({named[1]})"
