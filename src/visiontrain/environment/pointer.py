"""Which generation of an environment is the current one: ``current.json``, replaced as a whole."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from visiontrain.environment.files import write_whole
from visiontrain.environment.locking import exclusive
from visiontrain.errors import EnvironmentBuildError

__all__ = ["Pointer", "forget", "point", "read_pointer"]

_FILE = "current.json"
_LOCK = ".current.lock"


class Pointer(BaseModel):
    """The current generation. A pinned one is used although the definition may have moved on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation: str = Field(pattern=r"^[0-9a-f]{16}$")
    pinned: bool


def read_pointer(folder: Path) -> Pointer | None:
    """The pointer in an environment's folder; None where nothing is current.

    Raises:
        EnvironmentBuildError: the file is damaged.
    """
    path = folder / _FILE
    try:
        return Pointer.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise EnvironmentBuildError(
            f"{path}, which says which generation is current, can't be read", instruction="Remove that file."
        ) from error


def point(folder: Path, pointer: Pointer, *, keep_pinned: bool = False) -> None:
    """Make a generation the current one; `keep_pinned`: unless another one is pinned."""
    with exclusive(folder / _LOCK):
        if keep_pinned and (now := read_pointer(folder)) is not None and now.pinned:
            return
        write_whole(folder / _FILE, pointer.model_dump_json())


def forget(folder: Path, generations: set[str]) -> None:
    """Have no current generation if it is one of `generations`."""
    with exclusive(folder / _LOCK):
        pointer = read_pointer(folder)
        if pointer is not None and pointer.generation in generations:
            (folder / _FILE).unlink()
