"""The weights that Ultralytics publishes: fetched where they are asked for, said aloud before, kept afterwards."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from visiontrain.errors import WeightsError
from visiontrain.torchkit.published import no_weights

if TYPE_CHECKING:
    import requests

__all__ = ["ADDRESS", "FetchStoppedError", "fetch_weights"]

#: The release that the locked version of Ultralytics takes its weights from, and where that is.
_RELEASE = "v8.4.0"
ADDRESS = f"https://github.com/ultralytics/assets/releases/download/{_RELEASE}"
_LICENCE = "AGPL-3.0"

#: Seconds until a connection is made, and between two pieces of a file.
_TIMEOUT = (15, 60)
_PIECE = 1 << 18
_MEGA = 1_000_000


class FetchStoppedError(Exception):
    """The run was asked to end while weights were fetched."""


def fetch_weights(
    model: str,
    *,
    log: Callable[[str], None],
    progress: Callable[[int, int], None],
    stop_requested: Callable[[], bool],
) -> Path:
    """A file with the published weights: that of an earlier run, or fetched now.

    Files are kept where torch keeps what it downloads (``TORCH_HOME``).

    Args:
        model: A model's name without a tag; weights of it are published.
        log: Takes a sentence for the person: what is fetched, how large it is, and its licence.
        progress: Takes megabytes that are there, and those that there will be; 0 where nobody says.
        stop_requested: Whether to end before the file is there.

    Raises:
        WeightsError: they can't be fetched.
        FetchStoppedError: `stop_requested` said so.
    """
    name = f"{model}.pt"
    path = Path(torch.hub.get_dir()) / "checkpoints" / f"ultralytics-{_RELEASE}" / name
    if path.is_file():
        log(f"Pretrained weights: {name} of {_RELEASE} from {path.parent} (licence {_LICENCE}).")
        return path
    if os.environ.get("YOLO_OFFLINE", "").lower() in ("1", "true"):
        raise _unreachable(name, "YOLO_OFFLINE is set, and they were not fetched before")
    import requests  # binds a socket to see whether there is IPv6

    try:
        with requests.get(f"{ADDRESS}/{name}", stream=True, timeout=_TIMEOUT) as answer:
            answer.raise_for_status()
            total = int(answer.headers.get("Content-Length", 0))
            size = f"{total / _MEGA:.0f} MB" if total else "size unknown"
            log(f"Pretrained weights: downloading {name}, {size}, licence {_LICENCE}, from {ADDRESS} to {path.parent}.")
            _save(answer, path, total, progress, stop_requested)
    except (requests.RequestException, ConnectionError) as e:
        raise _unreachable(name, _reason(e)) from e
    return path


def _save(
    answer: requests.Response,
    path: Path,
    total: int,
    progress: Callable[[int, int], None],
    stop_requested: Callable[[], bool],
) -> None:
    """Write it aside first: a file that is there is whole.

    Raises:
        OSError: it ended early, or the disk does not take it.
        FetchStoppedError: see `fetch_weights`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        done = 0
        with os.fdopen(descriptor, "wb") as file:
            for piece in answer.iter_content(_PIECE):
                if stop_requested():
                    raise FetchStoppedError
                file.write(piece)
                done += len(piece)
                progress(done // _MEGA, total // _MEGA)
            file.flush()
            os.fsync(file.fileno())
        if total and done != total:
            raise ConnectionResetError(f"the connection ended after {done:,} of {total:,} bytes")
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _unreachable(name: str, reason: str) -> WeightsError:
    return no_weights(f"the published weights {name} can't be fetched: {reason}")


def _reason(error: Exception) -> str:
    """The innermost reason: requests and urllib3 wrap it in several sentences, with objects' addresses in them."""
    inner: object = error
    while isinstance(inner, BaseException):
        found, inner = inner, getattr(inner, "reason", None) or next(iter(inner.args), None)
    text = inner if isinstance(inner, str) else str(found)
    return re.sub(r"^\S*\(?.*?object at 0x\w+>?\)?: ", "", text) or type(error).__name__
