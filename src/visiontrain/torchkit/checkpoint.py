"""Checkpoints on disk: written whole or not at all, verified when read, tensors and plain values only."""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from visiontrain.errors import RunFailedError

__all__ = ["FORMAT", "Payload", "read_checkpoint", "read_first", "write_checkpoint"]

#: Marks our files, and says how their content is laid out.
FORMAT = "visiontrain-checkpoint-1"

#: What `torch.load(weights_only=True)` takes without an allow-list: tensors, numbers, text, lists, tuples, dicts.
Payload = dict[str, Any]

_UNREADABLE = "can't be used"


def write_checkpoint(path: Path, payload: Payload, *, previous: Path | None = None) -> None:
    """Write `payload` so that `path` is whole at every moment, also when the machine stops.

    Args:
        path: Replaced where it exists.
        payload: Tensors and plain values.
        previous: Where an earlier file of that name is kept.

    Raises:
        TypeError: the payload holds something else, which `weights_only=True` would refuse.
    """
    _check_plain(payload, "payload")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        torch.save({"format": FORMAT, **payload}, file)
        file.flush()
        os.fsync(file.fileno())
    if previous is not None and path.exists():
        path.replace(previous)
    temporary.replace(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_plain(value: object, where: str) -> None:
    # Exact types: to isinstance a NumPy float is a float and a defaultdict a dict, and weights_only refuses both.
    if value is None or type(value) in (bool, int, float, str, bytes) or isinstance(value, torch.Tensor):
        return
    if isinstance(value, dict) and type(value) in (dict, OrderedDict):
        for key, item in value.items():
            if type(key) not in (str, int):
                raise TypeError(f"{where}: a key of type {type(key).__name__} does not belong in a checkpoint")
            _check_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        for number, item in enumerate(value):
            _check_plain(item, f"{where}[{number}]")
    else:
        raise TypeError(f"{where}: a {type(value).__name__} does not belong in a checkpoint")


def read_checkpoint(path: Path) -> Payload:
    """Read a file that `write_checkpoint` wrote, its checksums verified, its tensors on the CPU.

    Raises:
        ValueError: missing, damaged, or another kind of file; the message says which.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # torch's reader does not compare the checksums that its writer stores
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{path} {_UNREADABLE}: the checksum of {damaged} is wrong")
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as e:
        raise ValueError(f"{path} {_UNREADABLE}: it does not exist") from e
    except ValueError:
        raise
    except Exception as e:  # zipfile, pickle and torch raise many kinds on damaged bytes
        raise ValueError(f"{path} {_UNREADABLE}: {type(e).__name__}: {e}") from e
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise ValueError(f"{path} {_UNREADABLE}: it is no checkpoint of this version of visiontrain")
    return payload


def read_first(paths: Sequence[Path], *, warn: Callable[[str], None]) -> tuple[Path, Payload] | None:
    """The first of `paths` that can be read. None where `paths` is empty.

    Args:
        paths: Best choice first.
        warn: Is told about each one that was passed over.

    Raises:
        RunFailedError: none of them can be read.
    """
    reasons = []
    for path in paths:
        try:
            return path, read_checkpoint(path)
        except ValueError as e:
            reasons.append(str(e))
            warn(str(e))
    if not paths:
        return None
    raise RunFailedError(
        "no checkpoint of the run can be read: " + "; ".join(reasons),
        instruction="Start a new run; best.pt, if it is whole, can be given as its --weights.",
    )
