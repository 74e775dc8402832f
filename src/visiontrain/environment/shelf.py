"""The generations that are stored under one folder: finds and reads them, writes nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from visiontrain.environment.definition import NAME_PATTERN
from visiontrain.environment.generation import ID_LENGTH, Fingerprint, Generation, generation_id, read_generation
from visiontrain.environment.pointer import Pointer, read_pointer
from visiontrain.errors import EnvironmentBuildError, InputError

__all__ = ["Shelf"]


class Shelf:
    """Generations in ``<root>/<name>/<id>/``.

    Args:
        root: The folder, absolute; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def generations(self, name: str | None = None) -> list[Generation]:
        """All usable generations, of one environment or of all: by name, the newest first.

        Raises:
            InputError: `name` is not valid.
            EnvironmentBuildError: an environment's ``current.json`` is damaged.
        """
        names = [name] if name is not None else self.names()
        found: list[Generation] = []
        for each in names:
            pointer = read_pointer(self.folder(each))
            known = [read_generation(folder) for folder in self.stored(each)]
            ready = [_with_pointer(generation, pointer) for generation in known if generation is not None]
            found += sorted(ready, key=lambda generation: generation.created, reverse=True)
        return found

    def ready(self, fingerprint: Fingerprint) -> Generation | None:
        """The usable generation that has exactly this fingerprint; None where there is none.

        Raises:
            EnvironmentBuildError: the environment's ``current.json`` is damaged.
        """
        found = read_generation(self.folder(fingerprint.name) / generation_id(fingerprint))
        if found is None or found.fingerprint != fingerprint:
            return None
        return _with_pointer(found, read_pointer(self.folder(fingerprint.name)))

    def folder(self, name: str) -> Path:
        """An environment's folder, which need not exist.

        Raises:
            InputError: `name` is not valid.
        """
        if not NAME_PATTERN.fullmatch(name):
            raise InputError(f"{name!r} is not an environment's name: lower-case letters, digits and underscores")
        return self._root / name

    def names(self) -> list[str]:
        """The environments of which there is something."""
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if path.is_dir() and NAME_PATTERN.fullmatch(path.name))

    def stored(self, name: str) -> list[Path]:
        """Folders of an environment's generations, usable or not.

        Raises:
            InputError: `name` is not valid.
        """
        folder = self.folder(name)
        if not folder.is_dir():
            return []
        return sorted(path for path in folder.iterdir() if re.fullmatch(rf"[0-9a-f]{{{ID_LENGTH}}}", path.name))

    def find(self, name: str, generation: str) -> Path:
        """The folder of a generation, usable or not, by its id or a unique prefix of it.

        Raises:
            InputError: `name` is not valid, or `generation` names none, or several.
        """
        stored = self.stored(name)
        matches = [path for path in stored if generation and path.name.startswith(generation)]
        if len(matches) == 1:
            return matches[0]
        known = ", ".join(path.name for path in stored) or "none"
        what = "names several generations" if matches else "is not a generation"
        raise InputError(f"{generation!r} {what} of environment {name}", instruction=f"Those that are stored: {known}")

    def get(self, name: str, generation: str) -> Generation:
        """A usable generation, by its id or a unique prefix of it.

        Raises:
            InputError: `name` is not valid, or `generation` names none, or several.
            EnvironmentBuildError: it is damaged, or its interpreter is gone.
        """
        path = self.find(name, generation)
        found = read_generation(path)
        if found is None:
            raise EnvironmentBuildError(
                f"generation {path.name} of environment {name} is damaged, or its interpreter is gone",
                instruction=f"Remove it (visiontrain env remove {name}@{path.name}) and build the environment again: "
                f"visiontrain env build {name}",
            )
        return _with_pointer(found, read_pointer(self.folder(name)))


def _with_pointer(generation: Generation, pointer: Pointer | None) -> Generation:
    current = pointer is not None and pointer.generation == generation.id
    return replace(generation, current=current, pinned=current and pointer is not None and pointer.pinned)
