"""Makes locks: the one that a definition carries, and those that fit another build of torch on one machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from visiontrain.environment.definition import LOCK_FILE, EnvironmentDefinition
from visiontrain.environment.files import write_whole
from visiontrain.environment.pins import torch_constraints
from visiontrain.environment.uv import LineCallback, Uv

__all__ = ["derive_lock", "lock_environment"]

_HEADER = """\
# Pins of the environment "{name}" for every platform and every Python that it supports ({python}), with hashes.
# Made from environment.toml by uv: change that file, then lock again (nox -s lock).
"""


def lock_environment(
    folder: Path, *, upgrade: bool = False, uv: Uv | None = None, on_line: LineCallback | None = None
) -> EnvironmentDefinition:
    """Write ``requirements.lock`` from the ``environment.toml`` in `folder`; returns the locked definition.

    Pins that are there already are kept where they still fit, unless `upgrade`.

    Raises:
        PluginError: ``environment.toml`` is wrong.
        EnvironmentBuildError: uv found no versions that fit each other, or no index.
    """
    definition = EnvironmentDefinition.load_unlocked(folder)
    path = folder / LOCK_FILE
    with tempfile.TemporaryDirectory(prefix="visiontrain-lock-") as aside:
        requirements = Path(aside) / "requirements.in"
        requirements.write_text("".join(f"{line}\n" for line in definition.requirements), encoding="utf-8")
        output = Path(aside) / LOCK_FILE
        if path.exists():
            output.write_bytes(path.read_bytes())
        (uv or Uv()).lock(
            requirements, output, python_version=definition.minimum_python, upgrade=upgrade, on_line=on_line
        )
        pins = output.read_text(encoding="utf-8")
    write_whole(path, _HEADER.format(name=definition.name, python=definition.requires_python) + _without_comments(pins))
    return EnvironmentDefinition.load(folder)


def derive_lock(
    definition: EnvironmentDefinition,
    output: Path,
    *,
    python: Path,
    torch_backend: str,
    uv: Uv,
    on_line: LineCallback | None = None,
) -> None:
    """Write a lock for `torch_backend` on this machine to `output`: the definition's versions with that index's hashes.

    Another index has other files of torch, and another build of it needs other CUDA libraries: those alone are free.

    Raises:
        EnvironmentBuildError: uv failed; often because that index has no such version of torch.
    """
    requirements = output.with_name("requirements.in")
    constraints = output.with_name("constraints.txt")
    requirements.write_text("".join(f"{line}\n" for line in definition.requirements), encoding="utf-8")
    constraints.write_text(torch_constraints(definition.pins), encoding="utf-8")
    uv.derive_lock(
        requirements, output, constraints=constraints, python=python, torch_backend=torch_backend, on_line=on_line
    )


def _without_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
