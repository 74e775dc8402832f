"""What an environment is made of: read from a folder with ``environment.toml`` and ``requirements.lock``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from packaging.requirements import InvalidRequirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from visiontrain.environment.pins import Pin, parse_lock
from visiontrain.environment.requirement import parse_requirement
from visiontrain.errors import PluginError

__all__ = ["DEFINITION_FILE", "LOCK_FILE", "NAME_PATTERN", "Cost", "EnvironmentDefinition"]

DEFINITION_FILE = "environment.toml"
LOCK_FILE = "requirements.lock"
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,31}")

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_RELOCK = "Lock it again: visiontrain.environment.lock.lock_environment(folder), or nox -s lock for visiontrain's own"


class Cost(BaseModel):
    """What building takes with an empty cache, measured on Linux x86_64, in bytes; written as 1234 or as "2.5 GB"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    download: int = Field(ge=0)
    disk: int = Field(ge=0)

    @field_validator("download", "disk", mode="before")
    @classmethod
    def _parse_size(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMG]?i?B)", value.strip())
        if match is None:
            raise ValueError(f'{value!r} is not a size: write bytes, or text such as "2.5 GB" or "300 MiB"')
        return round(float(match[1]) * _UNITS[match[2].upper()])


class EnvironmentDefinition(BaseModel):
    """An environment's definition.

    Args:
        name: The environment's name, which is its framework's.
        requires_python: The Python versions it supports, as PEP 440 writes them.
        requirements: The direct requirements.
        imports: What proves its health: ``package.module``, or ``package.module:attribute.of.it``.
        cost: What building takes.
        lock: The text of ``requirements.lock``: pins with hashes for every supported platform and Python.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str
    requires_python: str = Field(alias="requires-python")
    requirements: tuple[str, ...]
    imports: tuple[str, ...]
    cost: Cost = Cost(download=0, disk=0)
    lock: str = ""

    @classmethod
    def load(cls, folder: Path) -> EnvironmentDefinition:
        """Read the definition and the lock in `folder`, and check that they fit each other.

        Raises:
            PluginError: a file is missing or can't be read, a field is wrong, or lock and requirements do not fit.
        """
        definition = cls.load_unlocked(folder)
        path = folder / LOCK_FILE
        definition = definition.model_copy(update={"lock": _read_text(path, instruction=_RELOCK)})
        try:
            _check_lock(definition)
        except ValueError as error:
            raise PluginError(f"{path}: {error}", instruction=_RELOCK) from error
        return definition

    @classmethod
    def load_unlocked(cls, folder: Path) -> EnvironmentDefinition:
        """Read ``environment.toml`` alone: the lock stays empty.

        Raises:
            PluginError: the file is missing or can't be read, or a field is wrong.
        """
        path = folder / DEFINITION_FILE
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        try:
            table = tomllib.loads(_read_text(path, instruction="The plugin's package is incomplete: install it again."))
            if "lock" in table:
                raise PluginError(f"{path}: lock is not a field: the lock is read from {LOCK_FILE}")
            return cls.model_validate(table)
        except tomllib.TOMLDecodeError as error:
            raise PluginError(f"{path} is not valid TOML: {error}") from error
        except ValidationError as error:
            raise PluginError(f"{path} is not a valid definition of an environment: {_describe(error)}") from error

    @property
    def pins(self) -> tuple[Pin, ...]:
        """The lock's pins, for every platform and Python."""
        return parse_lock(self.lock)

    @property
    def minimum_python(self) -> str:
        """The oldest supported minor version, such as "3.10"."""
        return next(minor for minor in _minors() if self._supports_minor(minor))

    def supports_python(self, version: str) -> bool:
        """Whether the environment supports this full Python version."""
        return SpecifierSet(self.requires_python).contains(version, prereleases=True)

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        if not NAME_PATTERN.fullmatch(value):
            raise ValueError(f"{value!r} is not an environment's name: lower-case letters, digits and underscores")
        return value

    @field_validator("requires_python")
    @classmethod
    def _valid_requires_python(cls, value: str) -> str:
        try:
            specifiers = SpecifierSet(value)
        except InvalidSpecifier as error:
            raise ValueError(f"{value!r} is not a version specifier such as '>=3.10,<3.14'") from error
        if not any(specifiers.contains(f"{minor}.{patch}") for minor in _minors() for patch in range(40)):
            raise ValueError(f"{value!r} allows no Python from 3.10 on")
        return value

    @field_validator("requirements")
    @classmethod
    def _valid_requirements(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                requirement = parse_requirement(text)
            except InvalidRequirement as error:
                raise ValueError(f"{text!r} is not a requirement: {error}") from error
            if requirement.url is not None:
                raise ValueError(
                    f"{text!r} names an address; requirements name packages, so that any mirror serves them"
                )
        return value

    @field_validator("imports")
    @classmethod
    def _valid_imports(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            module, _, attribute = text.partition(":")
            names = module.split(".") + (attribute.split(".") if ":" in text else [])
            if not all(name.isidentifier() for name in names):
                raise ValueError(f"{text!r} is not of the form package.module or package.module:attribute")
        return value

    def _supports_minor(self, minor: str) -> bool:
        return any(self.supports_python(f"{minor}.{patch}") for patch in range(40))


def _minors() -> list[str]:
    return [f"3.{minor}" for minor in range(10, 40)]


def _read_text(path: Path, *, instruction: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PluginError(f"{path} does not exist", instruction=instruction) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{path} can't be read: {error}", instruction=instruction) from error


def _describe(error: ValidationError) -> str:
    parts = [(".".join(str(part) for part in item["loc"]), item["msg"]) for item in error.errors()]
    return "; ".join(f"{field}: {message.removeprefix('Value error, ')}" for field, message in parts)


def _check_lock(definition: EnvironmentDefinition) -> None:
    versions: dict[str, list[str]] = {}
    for pin in definition.pins:
        versions.setdefault(pin.name, []).append(pin.version)
    for text in definition.requirements:
        requirement = parse_requirement(text)
        locked = versions.get(canonicalize_name(requirement.name), [])
        if not any(requirement.specifier.contains(version, prereleases=True) for version in locked):
            found = f"has {', '.join(locked)}" if locked else "does not have it"
            raise ValueError(f"the lock is older than the definition: {text!r} is required, the lock {found}")
