"""A file with weights into a model: what fits is loaded, what does not is said or an error."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from ultralytics.nn.tasks import torch_safe_load

from visiontrain.errors import WeightsError
from visiontrain.torchkit.checkpoint import FORMAT, read_checkpoint
from visiontrain_yolo.build import build_model, classes_of_head, keypoints_of

__all__ = ["FileWeights", "load_into", "read_weights"]

State = dict[str, torch.Tensor]

_KINDS = "An Ultralytics .pt, safetensors, a torch state dict, or a checkpoint of ours is right."
_SHOWN = 8

#: What has a row a class: in YOLO's heads, in classifiers, and in RT-DETR.
_ROWS = re.compile(
    r"^model\.\d+\.((one2one_)?cv3\.\d+\.2|linear|denoising_class_embed|enc_score_head|dec_score_head\.\d+)\."
)

#: The branches of a head that are about keypoints.
_OF_POINTS = re.compile(r"\.(one2one_)?cv4(_kpts|_sigma)?\.")


@dataclass(frozen=True)
class FileWeights:
    """What a file holds.

    Args:
        path: The file.
        state: By name, float32, on the CPU.
        classes: Class names by class index, where the file says them.
        head_classes: How many classes the head was laid out for.
    """

    path: Path
    state: State
    classes: tuple[str, ...] | None
    head_classes: int


def read_weights(path: Path) -> FileWeights:
    """Read a file without running code that may be in it.

    Raises:
        WeightsError: it can't be read, or holds no detector's weights.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    try:
        state, classes, laid_out_for = _read(path)
    except (pickle.UnpicklingError, TypeError) as e:
        raise WeightsError(f"{path} {_refusal(e)}", instruction=_KINDS) from e
    except (SafetensorError, ValueError) as e:
        raise WeightsError(f"{path} can't be read: {e}", instruction=_KINDS) from e
    except Exception as e:  # torch's unpickler raises many kinds on bytes that are not its own
        raise WeightsError(f"{path} can't be read: {type(e).__name__}: {e}", instruction=_KINDS) from e
    found = classes_of_head(state)
    if found is None:
        raise WeightsError(f"{path} holds no weights of a YOLO model", instruction=_KINDS)
    floats = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    return FileWeights(path, floats, classes, laid_out_for or found)


def _read(path: Path) -> tuple[State, tuple[str, ...] | None, int | None]:
    if path.suffix == ".safetensors":
        return dict(load_file(path)), None, None
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no file that torch writes")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        load: Any = torch_safe_load
        content, _ = load(path, safe_only=True)  # builds ultralytics' and torch's own modules alone
    if isinstance(content, dict) and content.get("format") == FORMAT:
        return _ours(path)
    if isinstance(content, dict) and isinstance(content.get("ema") or content.get("model"), nn.Module):
        model: Any = content.get("ema") or content["model"]
        names = getattr(model, "names", None)
        classes = tuple(str(names[key]) for key in sorted(names)) if isinstance(names, dict) else None
        return dict(model.float().state_dict()), classes, None
    if not isinstance(content, dict) or not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise ValueError("it holds no weights by name")
    return {str(key): value for key, value in content.items()}, None, None


def _ours(path: Path) -> tuple[State, tuple[str, ...] | None, int | None]:
    payload = read_checkpoint(path)
    state = dict(payload["model"])
    if payload["kind"] != "best":  # of last.pt the average is what was validated
        state |= payload["updates"]["average"] or {}
    metadata = payload["metadata"]
    return state, tuple(metadata["classes"]), metadata.get("head_classes")


def load_into(model: nn.Module, name: str, weights: FileWeights, log: Callable[[str], None]) -> None:
    """Load what fits of a file into a model whose class names may be others.

    Of classes that both know by name the weights are taken; other classes begin anew. Everything that is not about
    classes must be there.

    Args:
        model: From `build_model` with the file's `head_classes`; changed in place.
        name: The model's.
        weights: From `read_weights`.
        log: Takes a sentence for the person.

    Raises:
        WeightsError: the file is of another model.
    """
    points = keypoints_of(model)
    count = classes_of_head(weights.state) or 0
    names = weights.classes if weights.classes and len(weights.classes) == count else tuple(map(str, range(count)))
    source: Any = build_model(name, names, head_classes=weights.head_classes, keypoints=points)
    wanted = {key: value for key, value in source.state_dict().items() if not _of_other_points(key, value, weights)}
    missing = [key for key in wanted if key not in weights.state]
    misshapen = [
        f"{key} {list(weights.state[key].shape)} for {list(value.shape)}"
        for key, value in wanted.items()
        if key in weights.state and weights.state[key].shape != value.shape
    ]
    if missing or misshapen:
        raise WeightsError(
            f"{weights.path} does not fit {name}: "
            + "; ".join(
                f"{len(keys)} weights {what}: {_list(keys)}"
                for what, keys in (("missing", missing), ("of another shape", misshapen))
                if keys
            ),
            instruction="Give the model that the file was made with, or --scratch.",
        )
    source.load_state_dict({**source.state_dict(), **{key: weights.state[key] for key in wanted}}, strict=True)
    target: Any = model
    before = {key: value.clone() for key, value in target.state_dict().items() if _ROWS.search(key)}
    target.load(source, verbose=False)
    _map_rows(target, source, before)
    _tell(target, source, weights, log)


@torch.no_grad()
def _map_rows(model: Any, source: Any, before: State) -> None:
    """Rows go by class names; where their number is the same, Ultralytics copies some as they are."""
    theirs, state = [_key(name) for name in source.names.values()], source.state_dict()
    if theirs == [_key(name) for name in model.names.values()] or all(name.isdecimal() for name in theirs):
        return
    for key, begun in before.items():
        rows = [
            state[key][theirs.index(_key(name))] if _key(name) in theirs else begun[number]
            for number, name in model.names.items()
        ]
        model.state_dict()[key].copy_(torch.stack(rows))


def _of_other_points(key: str, value: torch.Tensor, weights: FileWeights) -> bool:
    """Whether a weight is about keypoints, and the file was made for another number of them."""
    found = weights.state.get(key)
    return bool(_OF_POINTS.search(key)) and found is not None and found.shape != value.shape


def _tell(model: Any, source: Any, weights: FileWeights, log: Callable[[str], None]) -> None:
    theirs, ours = [_key(name) for name in source.names.values()], [_key(name) for name in model.names.values()]
    if theirs == ours or (weights.classes is None and len(theirs) == len(ours)):
        log(f"Loaded all weights from {weights.path}.")
        return
    known = [name for name in model.names.values() if _key(name) in theirs]
    log(
        f"Loaded the weights from {weights.path}; of its {len(theirs)} classes "
        + (
            f"those that the data has, too: {_list(known)}. The others begin anew."
            if known
            else "none is the data's: the last layer begins anew."
        )
    )


def _key(name: str) -> str:
    return str(name).strip().lower()


def _refusal(error: Exception) -> str:
    named = re.search(r"(?:GLOBAL|class) ([\w.]+)", f"{error} {error.__cause__}")
    if named is None:
        return f"can't be read: {error}"
    return f"is not loaded: it holds more than a model of Ultralytics, and to load it would run code ({named[1]})"


def _list(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:_SHOWN])
    return shown if len(keys) <= _SHOWN else f"{shown} and {len(keys) - _SHOWN} more"
