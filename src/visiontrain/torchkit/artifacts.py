"""Files beside the checkpoints: written whole or not at all."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from visiontrain.storage import explained

__all__ = ["PICTURE", "write_json", "write_whole"]

#: The kind of artifacts that are there to be looked at.
PICTURE = "picture"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that `path` is whole at every moment; its folder is made where it is missing.

    Raises:
        StorageError: the disk did not take it; what was at `path` is still there.
    """
    temporary = path.with_name(path.name + ".tmp")
    with explained(f"{path} can't be written"):
        # Its parent alone: where the run's folder was removed, half of it must not come back.
        path.parent.mkdir(exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content`, which must have finite numbers only, as strict JSON in ASCII.

    Raises:
        StorageError: the disk did not take it.
        ValueError: a number is not finite.
    """
    write_whole(path, (json.dumps(content, allow_nan=False) + "\n").encode("ascii"))
