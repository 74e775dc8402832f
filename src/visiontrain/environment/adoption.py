"""Takes an existing interpreter (conda, a cluster's module, a vendor's image) as an environment; only reads it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from visiontrain.environment.builder import CHECK_SECONDS
from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.generation import Fingerprint, Stamp
from visiontrain.environment.interpreter import Interpreter, check_imports, inspect, installed_versions
from visiontrain.environment.requirement import parse_requirement
from visiontrain.errors import EnvironmentBuildError

__all__ = ["examine"]


def examine(definition: EnvironmentDefinition, python: Path) -> Stamp:
    """Check that `python` can serve as the environment; the stamp's warnings say what does not fit the definition.

    Raises:
        EnvironmentBuildError: it does not run, is too old for visiontrain's worker, or an import fails.
    """
    # Made absolute, not resolved: a virtualenv's python is a link, and what it points to lacks the packages.
    python = python.expanduser().absolute()
    interpreter = inspect(python)
    if Version(interpreter.python_full_version) < Version("3.10"):
        raise EnvironmentBuildError(
            f"{python} is Python {interpreter.python_full_version}; visiontrain's worker needs 3.10 or newer",
            instruction="Adopt a newer interpreter, or build the environment: visiontrain env build " + definition.name,
        )
    check_output = check_imports(python, definition.imports, timeout=CHECK_SECONDS)
    fingerprint = Fingerprint.of_adoption(definition, interpreter, python=python)
    return Stamp(
        digest=fingerprint.digest,
        fingerprint=fingerprint,
        created=datetime.now(timezone.utc),
        python=str(python),
        check_output=check_output,
        size_bytes=0,
        exclusive_bytes=0,
        warnings=_mismatches(definition, interpreter, python),
        uv_version=None,
    )


def _mismatches(definition: EnvironmentDefinition, interpreter: Interpreter, python: Path) -> tuple[str, ...]:
    found: list[str] = []
    version = interpreter.python_full_version
    if not definition.supports_python(version):
        found.append(f"Python {version} is outside of {definition.requires_python}")
    markers = interpreter.markers()
    requirements = [parse_requirement(text) for text in definition.requirements]
    applying = [item for item in requirements if item.marker is None or item.marker.evaluate(dict(markers))]
    installed = installed_versions(python, [item.name for item in applying])
    for requirement in applying:
        has = installed[requirement.name]
        wanted = f"{requirement.name}{requirement.specifier}"
        if has is None:
            found.append(f"{wanted} is required, and no installed distribution has that name")
        elif not _fits(requirement, has):
            found.append(f"{wanted} is required, {has} is installed")
    return tuple(found)


def _fits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not requirement.specifier
