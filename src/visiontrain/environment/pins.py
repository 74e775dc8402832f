"""The pins of a lock: exact versions with hashes, for every platform and Python that the environment supports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from visiontrain.environment.requirement import parse_requirement

__all__ = ["Pin", "parse_lock", "torch_constraints"]

#: Packages whose versions follow from the build of torch: another torch backend needs others.
_ACCELERATOR_PREFIXES = ("nvidia-", "cuda-", "triton", "pytorch-triton", "intel-", "amd-", "rocm")

_HASH = re.compile(r"sha(256|384|512):[0-9a-f]{64,128}")


@dataclass(frozen=True)
class Pin:
    """One line of a lock: `requirement` has an exact version and perhaps a marker; `hashes` are ``algorithm:hex``."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The distribution's normalised name."""
        return str(canonicalize_name(self.requirement.name))

    @property
    def version(self) -> str:
        """The version that is pinned."""
        return next(iter(self.requirement.specifier)).version

    def applies(self, markers: Mapping[str, str]) -> bool:
        """Whether an interpreter with these marker values installs the pin."""
        return self.requirement.marker is None or self.requirement.marker.evaluate(dict(markers))


@lru_cache(maxsize=16)
def parse_lock(text: str) -> tuple[Pin, ...]:
    """Read a lock's text; the same one again costs nothing, and every use of an environment asks.

    Raises:
        ValueError: a line is an option, an address or a path, is not pinned to one version, or has no hash, or more
            than hashes behind it.
    """
    return tuple(_parse_pin(line) for line in _logical_lines(text))


def torch_constraints(pins: Iterable[Pin]) -> str:
    """The pins as constraints for another build of torch: the same versions, no hashes, no CUDA libraries."""
    kept = [pin for pin in pins if not pin.name.startswith(_ACCELERATOR_PREFIXES)]
    return "".join(f"{pin.requirement}\n" for pin in kept)


def _logical_lines(text: str) -> list[str]:
    lines: list[str] = []
    continued = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("#"):
            continue
        if line.endswith("\\"):
            continued += line[:-1] + " "
            continue
        if continued or line:
            lines.append((continued + line).strip())
        continued = ""
    if continued.strip():
        lines.append(continued.strip())
    return lines


def _parse_pin(line: str) -> Pin:
    head, *hashes = line.split("--hash=")
    try:
        requirement = parse_requirement(head)
    except InvalidRequirement as error:
        raise ValueError(
            f"{line[:80]!r} is not a pinned requirement (options, addresses and paths are not allowed)"
        ) from error
    operators = [specifier.operator for specifier in requirement.specifier]
    if requirement.url is not None or operators != ["=="] or str(requirement.specifier).endswith("*"):
        raise ValueError(f"{head.strip()!r} is not pinned to one version with ==")
    if not hashes:
        raise ValueError(f"{head.strip()!r} has no hash")
    values = tuple(value.strip() for value in hashes)
    for value in values:
        # What follows a hash on its line is uv's to read: an option there would be smuggled in.
        if not _HASH.fullmatch(value):
            raise ValueError(f"{head.strip()!r} has something that is no SHA-2 hash: {value[:80]!r}")
    return Pin(requirement, values)
