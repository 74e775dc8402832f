"""Files with weights into a network: every weight but its classes' must be there and fit, or it is an error.

transformers brings the names in files to those of its present version while it loads (its own Trainer does not, and
loses most of a ViT). So files are loaded by it and by nothing else, and what it says of missing weights is heard.
"""

from __future__ import annotations

import pickle
import re
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from visiontrain.errors import VisiontrainError, WeightsError
from visiontrain.torchkit.checkpoint import FORMAT, read_checkpoint
from visiontrain.torchkit.loading import validated_weights
from visiontrain.torchkit.transforms import ImageConfig
from visiontrain_hf.kinds import HfModel, Kind
from visiontrain_hf.lora import merge_lora
from visiontrain_hf.rebuild import rebuild

__all__ = ["FileWeights", "load_folder", "load_into", "read_weights"]

State = dict[str, torch.Tensor]

_KINDS = "A safetensors file, a torch state dict (tensors and plain values) or a checkpoint of ours is right."

#: What our checkpoints have before a network's own names.
_PREFIX = "network."

_SHOWN = 8


@dataclass(frozen=True)
class FileWeights:
    """What a file holds.

    Args:
        path: The file.
        state: By transformers' names, of any version.
        classes: Class names by class index, and
        images: how it had its images, where the file is a checkpoint of ours.
    """

    path: Path
    state: State
    classes: tuple[str, ...] | None = None
    images: ImageConfig | None = None


def read_weights(path: Path, kind: Kind, custom_code: str | None = None) -> FileWeights:
    """Read a file without running code that may be in it.

    Args:
        path: The file.
        kind: What the model is for.
        custom_code: The place whose code may be run, if any.

    Raises:
        WeightsError: it can't be read, or holds no weights by name.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            return FileWeights(path, dict(load_file(path)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a kind of pickle that is refused with an error next
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(content, dict) and content.get("format") == FORMAT:
            return _ours(path, kind, custom_code)
    except VisiontrainError:
        raise
    except pickle.UnpicklingError as e:
        raise WeightsError(f"{path} {_refusal(str(e))}", instruction=_KINDS) from e
    except (SafetensorError, ValueError) as e:
        raise WeightsError(f"{path} can't be read: {e}", instruction=_KINDS) from e
    except Exception as e:  # torch's unpickler raises many kinds on bytes that are not its own
        raise WeightsError(f"{path} can't be read: {type(e).__name__}: {e}", instruction=_KINDS) from e
    if not isinstance(content, dict) or not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise WeightsError(f"{path} holds no weights by name", instruction=_KINDS)
    return FileWeights(path, {str(name): value for name, value in content.items()})


def _ours(path: Path, kind: Kind, custom_code: str | None) -> FileWeights:
    payload = read_checkpoint(path)
    said, weights = payload["metadata"], validated_weights(payload)
    if said["framework"] != "hf":
        raise ValueError(f"it is a checkpoint of {said['framework']}")
    if said["task"] != kind.task:
        raise ValueError(f"it is a checkpoint for the task {said['task']}, not {kind.task}")
    if said["lora"] is not None:
        model = rebuild(kind, said, custom_code)
        model.load_state_dict(weights, strict=True)
        merge_lora(model.network)
        weights = model.state_dict()
    state = {name.removeprefix(_PREFIX): value for name, value in weights.items()}
    return FileWeights(path, state, tuple(said["classes"]), ImageConfig.from_plain(said["image"]))


def load_into(
    found: type[Any],
    config: Any,
    weights: FileWeights,
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
    if weights.classes is not None and weights.classes != classes:
        state = {name: value for name, value in state.items() if not like.in_heads(name)}
    with tempfile.TemporaryDirectory(prefix="visiontrain-hf-") as folder:
        config.save_pretrained(folder)
        save_file({name: _alone(value) for name, value in state.items()}, Path(folder) / "model.safetensors")
        return load_folder(found, config, folder, like=like, log=log, said=str(weights.path))


def load_folder(
    kind: type[Any], config: Any, place: str, *, like: HfModel, log: Callable[[str], None], said: str
) -> nn.Module:
    """A network with the weights of a folder, or of the hub's cache.

    Args:
        kind: transformers' class.
        config: Its configuration, for the data's classes.
        place: A folder, or a name on the hub.
        like: The same model with random weights, which says what its parts are.
        log: Takes a sentence for the person.
        said: What the person calls the place.

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
            f"{_list(wrong) or '; '.join(info['error_msgs'])}",
            instruction="Give the model that the file was made with, or --scratch.",
        )
    count, anew = len(network.state_dict()), [*missing, *misshapen]
    log(f"Loaded {count - len(anew)} of {count} weights from {said}.")
    for_classes = [name for name in anew if not _within(name, absent)]
    if absent:
        log(f"Not there, and begun anew: all of {' and '.join(absent)}.")
    if for_classes:
        log(f"Not loaded, and begun anew: {_list(for_classes)} (for the data's classes).")
    if info["unexpected_keys"]:
        log(f"There and of no use to this model: {_list(sorted(info['unexpected_keys']))}.")
    loaded: nn.Module = network.eval()
    return loaded


def _refusal(said: str) -> str:
    """Why torch refused a file, without its advice: to load it nevertheless would run the code in it."""
    named = re.search(r"(?:GLOBAL|class) ([\w.]+)", said)
    if named is None:
        return "can't be read: it is no file of tensors and plain values"
    return f"is not loaded: it is more than tensors and plain values, and to load it would run code ({named[1]})"


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


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
