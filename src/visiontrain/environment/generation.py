"""One built, kept version of an environment, and the stamp that says what it is."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.interpreter import Interpreter

__all__ = [
    "ID_LENGTH",
    "IN_USE_FILE",
    "STAMP_FILE",
    "VENV_FOLDER",
    "Fingerprint",
    "Generation",
    "Stamp",
    "generation_id",
    "read_generation",
    "read_stamp",
]

ID_LENGTH = 16
STAMP_FILE = "stamp.json"
IN_USE_FILE = "in-use.lock"
VENV_FOLDER = "venv"

#: Raised when the way of building changes such that what was built before must not be used.
_FORMAT = 1


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Fingerprint(_Kept):
    """All that decides what is in an environment. An adopted interpreter has its path in `adopted`, and no lock."""

    format: int = _FORMAT
    name: str
    requires_python: str
    requirements: tuple[str, ...]
    imports: tuple[str, ...]
    lock_sha256: str
    implementation: str
    python_version: str
    platform: str
    machine: str
    abi: str
    torch_backend: str | None
    adopted: str | None

    @classmethod
    def of_build(
        cls, definition: EnvironmentDefinition, interpreter: Interpreter, *, torch_backend: str | None
    ) -> Fingerprint:
        """Of what building `definition` with `interpreter` gives; `torch_backend` as asked for, "auto" included."""
        return cls._make(definition, interpreter, lock=definition.lock, torch_backend=torch_backend, adopted=None)

    @classmethod
    def of_adoption(cls, definition: EnvironmentDefinition, interpreter: Interpreter, *, python: Path) -> Fingerprint:
        """Of an interpreter that is adopted as it is; the lock has no say in what is there."""
        return cls._make(definition, interpreter, lock="", torch_backend=None, adopted=str(python))

    @classmethod
    def _make(
        cls,
        definition: EnvironmentDefinition,
        interpreter: Interpreter,
        *,
        lock: str,
        torch_backend: str | None,
        adopted: str | None,
    ) -> Fingerprint:
        return cls(
            name=definition.name,
            requires_python=definition.requires_python,
            requirements=definition.requirements,
            imports=definition.imports,
            lock_sha256=_sha256(lock),
            implementation=interpreter.implementation_name,
            python_version=interpreter.python_full_version,
            platform=interpreter.platform,
            machine=interpreter.platform_machine,
            abi=interpreter.abi,
            torch_backend=torch_backend,
            adopted=adopted,
        )

    @property
    def digest(self) -> str:
        """SHA-256 over all fields, in hex."""
        return _sha256(self.model_dump_json())

    def is_build_of(self, definition: EnvironmentDefinition, *, torch_backend: str | None) -> bool:
        """Whether it is what building `definition` gives, whatever the interpreter."""
        is_same_backend = self.adopted is None and self.torch_backend == torch_backend
        return is_same_backend and not self.is_stale(definition, torch_backend=torch_backend)

    def is_stale(self, definition: EnvironmentDefinition, *, torch_backend: str | None) -> bool:
        """Whether `definition` would be built otherwise today; `torch_backend` counts where one is asked for."""
        today = self.model_copy(
            update={
                "format": _FORMAT,
                "requires_python": definition.requires_python,
                "requirements": definition.requirements,
                "imports": definition.imports,
                "lock_sha256": _sha256("" if self.adopted else definition.lock),
                "torch_backend": self.torch_backend if self.adopted or torch_backend is None else torch_backend,
            }
        )
        return today != self


class Stamp(_Kept):
    """Written last into a generation's folder: nothing without a stamp is ever used.

    `check_output` is what the health check's imports wrote; sizes are in bytes; `python` is relative to the folder
    unless the interpreter is an adopted one.
    """

    digest: str
    fingerprint: Fingerprint
    created: datetime
    python: str
    check_output: str
    size_bytes: int
    exclusive_bytes: int
    warnings: tuple[str, ...]
    uv_version: str | None


@dataclass(frozen=True)
class Generation:
    """One built, kept version of an environment.

    Args:
        path: The generation's folder.
        python: The interpreter to start workers with.
        fingerprint: All that decides what is in it.
        created: When it was built or adopted (UTC).
        size_bytes: What it takes on disk; 0 for an adopted interpreter.
        exclusive_bytes: The part of it that was not hardlinked from uv's cache when it was built.
        warnings: What does not fit the definition (adopted interpreters).
        current: Whether it is the one that the environment's pointer names.
        pinned: Whether the pointer holds although another one may fit the definition better.
        stale: Whether the definition that it was resolved for would be built otherwise today.
    """

    path: Path
    python: Path
    fingerprint: Fingerprint
    created: datetime
    size_bytes: int
    exclusive_bytes: int
    warnings: tuple[str, ...] = ()
    current: bool = False
    pinned: bool = False
    stale: bool = False

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.fingerprint.name

    @property
    def id(self) -> str:
        """The first 16 hex digits of `digest`: the folder's name."""
        return generation_id(self.fingerprint)

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what is in it, in hex."""
        return self.fingerprint.digest

    @property
    def locked(self) -> bool:
        """Whether it holds exactly what a lock pins; False for an adopted interpreter."""
        return self.fingerprint.adopted is None

    @property
    def python_version(self) -> str:
        """The interpreter's full version."""
        return self.fingerprint.python_version

    @property
    def platform(self) -> str:
        """The interpreter's platform, such as ``linux-x86_64``."""
        return self.fingerprint.platform

    @property
    def torch_backend(self) -> str | None:
        """The build of torch that was asked for; None for the default index's."""
        return self.fingerprint.torch_backend

    @property
    def catalog_path(self) -> Path:
        """Where the catalogue of the models that it knows is kept."""
        return self.path / "catalog.json"

    @property
    def in_use_path(self) -> Path:
        """The file that runs hold a shared lock on."""
        return self.path / IN_USE_FILE


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp in a generation's folder; None where there is none, or one that does not hold."""
    try:
        stamp = Stamp.model_validate_json((folder / STAMP_FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    fits = stamp.fingerprint.digest == stamp.digest and generation_id(stamp.fingerprint) == folder.name
    return stamp if fits and stamp.fingerprint.format == _FORMAT else None


def read_generation(folder: Path) -> Generation | None:
    """The generation in `folder`; None where its stamp does not hold or its interpreter is gone."""
    stamp = read_stamp(folder)
    if stamp is None:
        return None
    python = folder / stamp.python
    if not os.access(python, os.X_OK):
        return None
    return Generation(
        path=folder,
        python=python,
        fingerprint=stamp.fingerprint,
        created=stamp.created,
        size_bytes=stamp.size_bytes,
        exclusive_bytes=stamp.exclusive_bytes,
        warnings=stamp.warnings,
    )


def generation_id(fingerprint: Fingerprint) -> str:
    """The first 16 hex digits of the digest: a generation's id and folder."""
    return fingerprint.digest[:ID_LENGTH]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
