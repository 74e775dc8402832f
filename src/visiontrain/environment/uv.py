"""uv's command lines: no other module spells them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from visiontrain.environment import launch
from visiontrain.environment.advice import advice
from visiontrain.environment.variables import uv_variables
from visiontrain.errors import EnvironmentBuildError

__all__ = ["FoundPython", "LineCallback", "Uv"]

LineCallback = Callable[[str], None]

_KEPT_LINES = 200
_SHOWN_LINES = 30
_STOP_SECONDS = 5.0
_REINSTALL = "Install it again: python -m pip install --force-reinstall uv"


@dataclass(frozen=True)
class FoundPython:
    """An interpreter that uv knows: its full version, and where it is."""

    version: str
    path: Path


class Uv:
    """Runs uv.

    It runs in the root folder: uv searches the working folder and its parents for ``uv.toml`` and ``pyproject.toml``,
    and what lies beside the person's data must not decide what is installed. The user's and the system's own
    configuration, and ``UV_*`` variables, hold.

    Args:
        executable: uv's path; None for the one that visiontrain depends on.
    """

    def __init__(self, executable: Path | None = None) -> None:
        self._executable = executable

    @property
    def executable(self) -> Path:
        """uv's path.

        Raises:
            EnvironmentBuildError: uv is not installed.
        """
        if self._executable is None:
            from uv import find_uv_bin

            try:
                self._executable = Path(find_uv_bin())
            except FileNotFoundError as error:
                raise EnvironmentBuildError(f"uv was not found: {error}", instruction=_REINSTALL) from error
        return self._executable

    def create(self, folder: Path, *, python: Path, on_line: LineCallback | None = None) -> None:
        """Create an empty virtualenv that can be renamed.

        Raises:
            EnvironmentBuildError: uv failed.
        """
        command = ["venv", "--no-project", "--relocatable", f"--python={python}", "--", str(folder)]
        self._run(command, on_line=on_line)

    def sync(
        self, lock: Path, *, python: Path, torch_backend: str | None = None, on_line: LineCallback | None = None
    ) -> None:
        """Install exactly what `lock` pins into the virtualenv of `python`, with bytecode; every hash is checked.

        Raises:
            EnvironmentBuildError: uv failed.
        """
        command = ["pip", "sync", f"--python={python}", "--require-hashes", "--compile-bytecode"]
        command += ["--allow-empty-requirements", *_backend(torch_backend), "--", str(lock)]
        self._run(command, on_line=on_line)

    def lock(
        self,
        requirements: Path,
        output: Path,
        *,
        python_version: str,
        upgrade: bool,
        on_line: LineCallback | None = None,
    ) -> None:
        """Pin `requirements` for every platform and every Python from `python_version` on, into `output`.

        Pins that `output` has already are kept where they still fit, unless `upgrade`.

        Raises:
            EnvironmentBuildError: uv failed.
        """
        command = [*_COMPILE, "--universal", f"--python-version={python_version}", f"--output-file={output}"]
        command += ["--upgrade"] if upgrade else []
        self._run([*command, "--", str(requirements)], on_line=on_line)

    def derive_lock(
        self,
        requirements: Path,
        output: Path,
        *,
        constraints: Path,
        python: Path,
        torch_backend: str,
        on_line: LineCallback | None = None,
    ) -> None:
        """Pin `requirements` for `python` on this machine and a build of torch, within `constraints`, into `output`.

        Raises:
            EnvironmentBuildError: uv failed.
        """
        command = [*_COMPILE, f"--python={python}", f"--constraints={constraints}", f"--output-file={output}"]
        self._run([*command, *_backend(torch_backend), "--", str(requirements)], on_line=on_line)

    def pythons(self) -> tuple[FoundPython, ...]:
        """CPython interpreters on this machine, newest first.

        ``uv python find`` would give up at the first broken entry on PATH (a pyenv shim without a version, say).

        Raises:
            EnvironmentBuildError: uv failed.
        """
        output = self._run(["python", "list", "--only-installed", "--output-format=json"])
        found: dict[Path, FoundPython] = {}
        for entry in json.loads(output):
            if entry["implementation"] == "cpython" and entry.get("variant", "default") == "default" and entry["path"]:
                path = Path(entry["path"])
                found.setdefault(path, FoundPython(entry["version"], path))
        return tuple(found.values())

    def install_python(self, request: str, *, on_line: LineCallback | None = None) -> None:
        """Download a Python that fits `request` (a version specifier).

        Raises:
            EnvironmentBuildError: uv failed.
        """
        self._run(["python", "install", "--", request], on_line=on_line)

    def cache_folder(self) -> Path:
        """Where uv keeps the packages that it has unpacked.

        Raises:
            EnvironmentBuildError: uv failed.
        """
        return Path(self._run(["cache", "dir"]).strip())

    def version(self) -> str:
        """uv's own version.

        Raises:
            EnvironmentBuildError: uv failed.
        """
        return self._run(["--version"]).removeprefix("uv ").split(" ")[0].strip()

    def _run(self, arguments: Sequence[str], *, on_line: LineCallback | None = None) -> str:
        """Run uv to its end; its messages go to `on_line` as they come. Returns its standard output."""
        command = [str(self.executable), *arguments]
        if not os.access(command[0], os.X_OK):
            raise EnvironmentBuildError(f"{command[0]} can't be started", instruction=_REINSTALL)
        lines: deque[str] = deque(maxlen=_KEPT_LINES)
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                env=uv_variables(),
                cwd="/",
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            with process:
                try:
                    for raw in process.stderr or ():
                        line = raw.rstrip()
                        lines.append(line)
                        if on_line is not None and line:
                            on_line(line)
                    process.wait()
                except BaseException:
                    _stop(process)
                    raise
            output.seek(0)
            text = output.read().decode("utf-8", errors="replace")
        if process.returncode != 0:
            raise _failure(command, process.returncode, [*text.splitlines(), *lines])
        return text


_COMPILE = ("pip", "compile", "--generate-hashes", "--no-header", "--no-annotate")


def _backend(torch_backend: str | None) -> list[str]:
    return [] if torch_backend is None else [f"--torch-backend={torch_backend}"]


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _failure(command: Sequence[str], code: int, lines: Sequence[str]) -> EnvironmentBuildError:
    ended = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
    shown = "\n".join(f"  {line}" for line in lines[-_SHOWN_LINES:]) or "  (no output)"
    return EnvironmentBuildError(f"uv {ended}: {shlex.join(command)}\n{shown}", instruction=advice("\n".join(lines)))
