"""Checkpoints of torch: tensors and plain values only; `visiontrain.worker.checkpoint` keeps them whole."""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, cast

import torch

from visiontrain.worker import checkpoint as files

__all__ = ["ADVICE", "FORMAT", "Payload", "load", "read_checkpoint", "read_first", "write_checkpoint", "writer"]

#: Marks our files, and says how their content is laid out.
FORMAT = "visiontrain-checkpoint-1"

#: What `torch.load(weights_only=True)` takes without an allow-list: tensors, numbers, text, lists, tuples, dicts.
Payload = dict[str, Any]

#: What to do where no checkpoint of a run can be read.
ADVICE = "Start a new run; best.pt, if it is whole, can be given as its --weights."


def write_checkpoint(path: Path, payload: Payload, *, previous: Path | None = None) -> None:
    """Write `payload` so that `path` is whole at every moment, also when the machine stops.

    Args:
        path: Replaced where it exists.
        payload: Tensors and plain values.
        previous: Where an earlier file of that name is kept.

    Raises:
        TypeError: the payload holds something else, which `weights_only=True` would refuse.
        StorageError: the disk did not take it; what was at `path` is still there, and whole.
    """
    files.write_checkpoint(path, writer(payload), previous=previous)


def writer(payload: Payload) -> Callable[[IO[bytes]], None]:
    """What writes `payload` into a file.

    Raises:
        TypeError: the payload holds what `weights_only=True` would refuse.
    """
    _check_plain(payload, "payload")

    def write(file: IO[bytes]) -> None:
        told = _Told(file)
        try:
            torch.save({"format": FORMAT, **payload}, cast("IO[bytes]", told))
        except Exception as e:
            if told.error is not None:
                raise told.error from e  # torch says where in its own code it was, not what the disk said
            raise

    return write


class _Told:
    """A file for torch's writer; remembers what the disk said first."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is not None:
            # The writer ends its file whatever happened: an error that it meets there again would end the process.
            return len(data)
        try:
            return self._file.write(data)
        except OSError as e:
            self.error = e
            raise

    def flush(self) -> None:
        if self.error is None:
            self._file.flush()


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
    return files.read_checkpoint(path, load)


def load(path: Path) -> Payload:
    """Read a file whose checksums were verified.

    Raises:
        ValueError: it is no checkpoint of ours.
        Exception: what torch and zipfile raise on damaged bytes, which is of many kinds.
    """
    with zipfile.ZipFile(path):  # torch would take what is no archive for a file of its earlier versions
        payload = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise ValueError("it is no checkpoint of this version of visiontrain")
    return payload


def read_first(paths: Sequence[Path], *, warn: Callable[[str], None]) -> tuple[Path, Payload] | None:
    """The first of `paths` that can be read. None where `paths` is empty.

    Args:
        paths: Best choice first.
        warn: Is told which were passed over, why, and which one is used instead.

    Raises:
        RunFailedError: none of them can be read.
    """
    return files.read_first(paths, load, warn=warn, instruction=ADVICE)
