"""Python interpreters: what one is, what it has, and which one an environment is built with."""

from __future__ import annotations

import functools
import json
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, ValidationError

from visiontrain.environment import probe
from visiontrain.environment.advice import import_advice
from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.uv import FoundPython, LineCallback, Uv
from visiontrain.environment.variables import interpreter_variables, uv_variables
from visiontrain.errors import EnvironmentBuildError

__all__ = ["Interpreter", "check_imports", "choose", "fits", "inspect", "installed_versions", "own"]

_PROBE = Path(probe.__file__)
_PROBE_SECONDS = 60.0
_SHOWN_LINES = 30
_DOWNLOADS = ("auto", "automatic", "true")


class Interpreter(BaseModel):
    """What an interpreter is: the values of PEP 508's markers, `executable`, and Python's own `platform` and `abi`."""

    model_config = ConfigDict(frozen=True)

    executable: Path
    platform: str
    abi: str
    implementation_name: str
    implementation_version: str
    os_name: str
    platform_machine: str
    platform_python_implementation: str
    platform_release: str
    platform_system: str
    platform_version: str
    python_full_version: str
    python_version: str
    sys_platform: str

    def markers(self) -> dict[str, str]:
        """The values with which requirements' markers are evaluated."""
        return {**self.model_dump(exclude={"executable", "platform", "abi"}), "extra": ""}


@functools.cache
def own() -> Interpreter:
    """The host's own interpreter."""
    return Interpreter.model_validate(probe.facts())


def inspect(python: Path) -> Interpreter:
    """Ask an interpreter what it is; nothing is written.

    Raises:
        EnvironmentBuildError: it does not run, or is no usable Python.
    """
    output = _probe(python, "facts", timeout=_PROBE_SECONDS)
    try:
        return Interpreter.model_validate_json(output.splitlines()[-1])
    except (IndexError, ValidationError) as error:
        raise EnvironmentBuildError(
            f"{python} does not answer as a Python interpreter does: {output[-200:]!r}"
        ) from error


def installed_versions(python: Path, names: Sequence[str]) -> dict[str, str | None]:
    """The versions of distributions that an interpreter has; None where one is missing. Nothing is written.

    Raises:
        EnvironmentBuildError: the interpreter does not run.
    """
    found: dict[str, str | None] = json.loads(
        _probe(python, "versions", *names, timeout=_PROBE_SECONDS).splitlines()[-1]
    )
    return found


def check_imports(python: Path, imports: Sequence[str], *, timeout: float) -> str:
    """Import each of `imports` in a process of `python` that sees nothing of the host; `timeout` in seconds for all.

    Returns what the imports wrote. Nothing is written beside the packages.

    Raises:
        EnvironmentBuildError: an import failed, crashed or took too long; the message has its output.
    """
    return _probe(python, "check", *imports, timeout=timeout) if imports else ""


def choose(definition: EnvironmentDefinition, uv: Uv, *, on_line: LineCallback | None = None) -> Interpreter:
    """The interpreter to build an environment with: the host's own where it fits, else the newest that uv finds.

    Raises:
        EnvironmentBuildError: none fits.
    """
    mine = own()
    if fits(definition, mine):
        return mine
    found = _newest(definition, uv.pythons())
    if found is None and uv_variables()["UV_PYTHON_DOWNLOADS"] in _DOWNLOADS:
        uv.install_python(definition.requires_python, on_line=on_line)
        found = _newest(definition, uv.pythons())
    if found is None:
        raise EnvironmentBuildError(
            f"environment {definition.name} needs Python {definition.requires_python}; this is Python "
            f"{mine.python_full_version}, and no other that fits was found on PATH or among uv's own",
            instruction="Install one, for example with: uv python install "
            f"{definition.minimum_python}\nor let uv do it: UV_PYTHON_DOWNLOADS=auto",
        )
    return found


def fits(definition: EnvironmentDefinition, interpreter: Interpreter) -> bool:
    """Whether an environment can be built with `interpreter`: a supported CPython with a GIL, as packages expect."""
    is_usual = interpreter.implementation_name == "cpython" and not re.match(r"cpython-\d+t", interpreter.abi)
    return is_usual and _supports(definition, interpreter.python_full_version)


def _supports(definition: EnvironmentDefinition, version: str) -> bool:
    # The worker's side of visiontrain runs there, and it needs 3.10 whatever the framework supports.
    return Version(version) >= Version("3.10") and definition.supports_python(version)


def _newest(definition: EnvironmentDefinition, pythons: Sequence[FoundPython]) -> Interpreter | None:
    fitting = [python for python in pythons if _supports(definition, python.version)]
    for python in sorted(fitting, key=lambda python: Version(python.version), reverse=True):
        try:
            interpreter = inspect(python.path)
        except EnvironmentBuildError:
            continue  # a broken entry on PATH; another may do
        if fits(definition, interpreter):
            return interpreter
    return None


def _probe(python: Path, *arguments: str, timeout: float) -> str:
    command = [str(python), "-I", "-B", "-X", "utf8", str(_PROBE), *arguments]
    checking = arguments[0] == "check"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if checking else subprocess.PIPE,
            env=interpreter_variables(),
            cwd="/",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode("utf-8", errors="replace")
        raise _probe_failure(command, f"took more than {timeout:g} s", output) from error
    except OSError as error:
        raise EnvironmentBuildError(
            f"{python} can't be run as a Python interpreter: {error}",
            instruction="Name the interpreter itself, such as /path/to/environment/bin/python.",
        ) from error
    output = done.stdout.decode("utf-8", errors="replace")
    if done.returncode != 0:
        ended = f"ended with exit code {done.returncode}"
        if done.returncode < 0:
            ended = f"was killed by signal {-done.returncode} ({signal.strsignal(-done.returncode)})"
        raise _probe_failure(command, ended, output + (done.stderr or b"").decode("utf-8", errors="replace"))
    return output


def _probe_failure(command: Sequence[str], ended: str, output: str) -> EnvironmentBuildError:
    lines = output.rstrip().splitlines()
    at = [line.removeprefix(probe.CHECKING) for line in lines if line.startswith(probe.CHECKING)]
    what = f"the import of {at[-1]} {ended}" if at else f"the interpreter {ended}"
    shown = "\n".join(f"  {line}" for line in lines[-_SHOWN_LINES:]) or "  (no output)"
    return EnvironmentBuildError(
        f"{what}: {shlex.join(command)}\n{shown}",
        instruction=import_advice(output),
    )
