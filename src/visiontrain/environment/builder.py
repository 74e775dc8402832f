"""Builds one generation aside, checks it, and puts it in its place: what was killed halfway is never found."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from visiontrain.environment.definition import LOCK_FILE, EnvironmentDefinition
from visiontrain.environment.files import discard, flush_file_system, flush_folder, folder_size, write_whole
from visiontrain.environment.generation import IN_USE_FILE, STAMP_FILE, VENV_FOLDER, Fingerprint, Stamp
from visiontrain.environment.interpreter import Interpreter, check_imports
from visiontrain.environment.lock import derive_lock
from visiontrain.environment.progress import BuildCost, BuildProgress, Phase, ProgressCallback, UvProgress, format_size
from visiontrain.environment.uv import Uv

__all__ = ["CHECK_SECONDS", "build_generation", "building_folder", "discard_leftovers", "install", "set_aside"]

#: First imports of large packages from a cold network disk take minutes.
CHECK_SECONDS = 900.0

_BUILDING = ".building-"
_TRASH = ".trash-"


def build_generation(
    target: Path,
    definition: EnvironmentDefinition,
    fingerprint: Fingerprint,
    interpreter: Interpreter,
    *,
    uv: Uv,
    report: ProgressCallback,
) -> None:
    """Build the generation that `fingerprint` names, as the folder `target`. The caller holds the environment's lock.

    Raises:
        EnvironmentBuildError: uv failed, or an import that proves the environment's health did.
        OSError: the disk is full, or a folder can't be written to.
    """
    name = definition.name

    def say(phase: Phase, message: str, *, cost: BuildCost | None = None, warning: bool = False) -> None:
        report(BuildProgress(name, phase, message, cost=cost, warning=warning))

    cost = _estimate(definition, interpreter, target.parent)
    on_line = UvProgress(definition, total=cost.packages, report=report)
    say(
        "interpreter",
        f"Python {interpreter.python_full_version} at {interpreter.executable}; {_in_words(cost)}",
        cost=cost,
    )
    if cost.free_bytes < cost.disk_bytes:
        message = (
            f"{format_size(cost.free_bytes)} are free, and with an empty uv cache the build takes "
            f"{format_size(cost.disk_bytes)}; it takes less where the cache has packages on the same disk"
        )
        say("interpreter", message, warning=True)
    with building_folder(target.parent) as aside:
        python = aside / VENV_FOLDER / "bin" / "python"
        say("creating", "Creating the virtualenv")
        uv.create(aside / VENV_FOLDER, python=interpreter.executable, on_line=on_line)
        lock = aside / LOCK_FILE
        if fingerprint.torch_backend is None:
            lock.write_text(definition.lock, encoding="utf-8")
        else:
            say("downloading", f"Choosing packages for the torch backend {fingerprint.torch_backend}")
            derive_lock(
                definition, lock, python=python, torch_backend=fingerprint.torch_backend, uv=uv, on_line=on_line
            )
        say("downloading", "Downloading and installing packages")
        uv.sync(lock, python=python, torch_backend=fingerprint.torch_backend, on_line=on_line)
        say("checking", f"Importing {', '.join(definition.imports)}" if definition.imports else "Nothing to import")
        check_output = check_imports(python, definition.imports, timeout=CHECK_SECONDS)
        size = folder_size(aside)
        stamp = Stamp(
            digest=fingerprint.digest,
            fingerprint=fingerprint,
            created=datetime.now(timezone.utc),
            python=str(python.relative_to(aside)),
            check_output=check_output,
            size_bytes=size.bytes,
            exclusive_bytes=size.exclusive_bytes,
            warnings=(),
            uv_version=uv.version(),
        )
        install(aside, target, stamp)


@contextmanager
def building_folder(folder: Path) -> Iterator[Path]:
    """A new folder inside an environment's folder to prepare a generation in; gone at the end unless it was renamed."""
    aside = folder / f"{_BUILDING}{secrets.token_hex(8)}"
    aside.mkdir()
    try:
        yield aside
    finally:
        discard(aside)


def install(aside: Path, target: Path, stamp: Stamp) -> None:
    """Stamp the folder `aside` and rename it to `target`; what is there, and is not whole, goes out of the way."""
    (aside / IN_USE_FILE).touch()
    flush_file_system(aside)
    write_whole(aside / STAMP_FILE, stamp.model_dump_json(indent=1))
    if target.exists():
        set_aside(target)
    aside.rename(target)
    flush_folder(target.parent)


def set_aside(folder: Path) -> Path:
    """Rename a folder so that nobody finds it any more; returns where it is."""
    trash = folder.parent / f"{_TRASH}{secrets.token_hex(8)}"
    folder.rename(trash)
    return trash


def discard_leftovers(folder: Path) -> None:
    """Remove what killed builds and removals left in an environment's folder. The caller holds its lock."""
    for leftover in folder.glob(f"{_BUILDING}*"):
        # Where a killed builder's uv is still writing (not on Linux), it finds its folder gone and ends.
        set_aside(leftover)
    for trash in folder.glob(f"{_TRASH}*"):
        discard(trash)


def _estimate(definition: EnvironmentDefinition, interpreter: Interpreter, folder: Path) -> BuildCost:
    markers = interpreter.markers()
    return BuildCost(
        packages=sum(pin.applies(markers) for pin in definition.pins),
        download_bytes=definition.cost.download,
        disk_bytes=definition.cost.disk,
        free_bytes=shutil.disk_usage(folder).free,
    )


def _in_words(cost: BuildCost) -> str:
    return (
        f"{cost.packages} packages, at most {format_size(cost.download_bytes)} to download and "
        f"{format_size(cost.disk_bytes)} on disk (less where uv's cache has them), {format_size(cost.free_bytes)} free"
    )
