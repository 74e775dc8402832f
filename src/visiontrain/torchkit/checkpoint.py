"""Checkpoints on disk: written whole or not at all, verified when read, tensors and plain values only."""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import torch

from visiontrain.errors import RunFailedError
from visiontrain.storage import explained

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
        StorageError: the disk did not take it; what was at `path` is still there, and whole.
    """
    _check_plain(payload, "payload")
    temporary = path.with_name(path.name + ".tmp")
    with explained(f"the checkpoint {path} can't be written"):
        # Its parent alone: where the run's folder was removed, half of it must not come back.
        path.parent.mkdir(exist_ok=True)
        try:
            _write(temporary, {"format": FORMAT, **payload})
            if previous is not None and path.exists():
                _keep(path, previous)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):  # half a checkpoint would keep a full disk full
                temporary.unlink()
            raise
        _sync_folder(path.parent)


def _write(path: Path, payload: Payload) -> None:
    with path.open("wb") as file:
        told = _Told(file)
        try:
            torch.save(payload, cast("IO[bytes]", told))
        except Exception as e:
            if told.error is not None:
                raise told.error from e  # torch says where in its own code it was, not what the disk said
            raise
        file.flush()
        os.fsync(file.fileno())


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


def _keep(path: Path, previous: Path) -> None:
    """Give the file a second name in place of the one that `previous` names."""
    link = previous.with_name(previous.name + ".tmp")
    try:
        link.unlink(missing_ok=True)
        os.link(path, link)
    except OSError:  # no hard links here: for an instant there is no file at `path`
        path.replace(previous)
    else:
        link.replace(previous)
        link.unlink(missing_ok=True)  # both names were the same file already


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
        warn: Is told which were passed over, why, and which one is used instead.

    Raises:
        RunFailedError: none of them can be read.
    """
    reasons = []
    for path in paths:
        try:
            found = path, read_checkpoint(path)
        except ValueError as e:
            reasons.append(str(e))
            continue
        if reasons:
            warn(f"{'; '.join(reasons)}. Going on from the checkpoint before it, {path}")
        return found
    if not paths:
        return None
    raise RunFailedError(
        "no checkpoint of the run can be read: " + "; ".join(reasons),
        instruction="Start a new run; best.pt, if it is whole, can be given as its --weights.",
    )
