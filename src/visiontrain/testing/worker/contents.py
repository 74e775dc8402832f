"""What is in a checkpoint, value by value: files that hold the same may differ in their bytes."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["contents", "main"]


def main() -> None:
    """Print the contents of the files that the arguments name, the worker's `sys.path` before them, as a JSON list."""
    print(json.dumps([contents(Path(name)) for name in sys.argv[2:]]))  # noqa: T201 - what it is for


def contents(path: Path) -> dict[str, str]:
    """Every value by its place. Files of torch, archives and JSON are opened; any other is one value.

    torch's files are read with ``weights_only=True``: a checkpoint holds tensors and plain values.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if not any(name.endswith("/data.pkl") for name in names):
                return {name: _digest(archive.read(name)) for name in names}
        torch = importlib.import_module("torch")  # of the environment that wrote the file
        return dict(_flat(torch.load(path, map_location="cpu", weights_only=True), "", torch))
    data = path.read_bytes()
    try:
        return dict(_flat(json.loads(data), "", None))
    except ValueError:
        return {path.name: _digest(data)}


def _flat(value: Any, place: str, torch: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{place}.{key}" if place else str(key), torch)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _flat(item, f"{place}.{number}" if place else str(number), torch)
    elif torch is not None and isinstance(value, torch.Tensor):
        raw = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        yield place, f"{value.dtype} {tuple(value.shape)} {_digest(raw)}"
    else:
        yield place, repr(value)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
