"""What ``visiontrain doctor`` looks at."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from visiontrain import __version__
from visiontrain.environment.generation import Generation
from visiontrain.environment.progress import format_size
from visiontrain.environment.store import EnvironmentStore
from visiontrain.environment.uv import Uv
from visiontrain.errors import EnvironmentBuildError, StorageError, VisiontrainError
from visiontrain.plugin.manifest import Manifest
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.protocol.messages import Device, InitializeResult
from visiontrain.runners.command import tracker_command, worker_command
from visiontrain.runners.connection import WorkerConnection
from visiontrain.runners.routing import frameworks_of
from visiontrain.session import Session
from visiontrain.storage import flock

__all__ = ["Check", "examine"]

#: Less than this, in bytes, and a large framework does not fit.
_LITTLE_SPACE = 5 * 10**9

_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `instruction` says what to do where it is not ``ok``."""

    name: str
    level: Literal["ok", "warn", "fail"]
    message: str
    instruction: str | None = None


def examine(session: Session) -> Iterator[Check]:
    """Look at everything, cheap things first."""
    yield Check(
        "visiontrain",
        "ok",
        f"{__version__}, Python {platform.python_version()} at {sys.executable}, {platform.platform()}",
    )
    uv = Uv()
    yield _uv(uv)
    yield from _home(session.home.root, uv)
    yield from _plugins(session)
    driver = nvidia_driver()
    if driver is not None:
        yield Check("GPU driver", "ok", f"NVIDIA {driver}")
    elif sys.platform == "linux":
        yield Check("GPU driver", "ok", "none from NVIDIA: training runs on the CPU")
    plugins = session.plugins()
    for framework in frameworks_of(plugins):
        yield from _environment(session, framework.manifest, driver)
    for tracker in (manifest for plugin in plugins for manifest in plugin.trackers):
        yield from _environment(session, tracker, driver)


def nvidia_driver() -> str | None:
    """The version of NVIDIA's driver; None where there is none."""
    try:
        for word in _DRIVER.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].split():
            if word[0].isdigit() and "." in word:
                return word
    except OSError:
        pass
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        done = subprocess.run(
            [tool, "--query-gpu=driver_version", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.split()), None)


def _uv(uv: Uv) -> Check:
    try:
        return Check("uv", "ok", f"{uv.version()} at {uv.executable}")
    except EnvironmentBuildError as error:
        return Check("uv", "fail", error.reason, error.instruction)


def _home(root: Path, uv: Uv) -> Iterator[Check]:
    mend = "Set VISIONTRAIN_HOME to a folder that can be written to."
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=root, prefix=".doctor-") as file:
            flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB, Path(file.name))
        free = shutil.disk_usage(root).free
    except OSError as error:
        yield Check("home", "fail", f"{root} can't be written to: {error}", mend)
        return
    except StorageError as error:
        yield Check("home", "fail", error.reason, error.instruction)
        return
    if free < _LITTLE_SPACE:
        yield Check(
            "home",
            "warn",
            f"{root}: {format_size(free)} free; a large framework takes more",
            "Free some space, or set VISIONTRAIN_HOME to a folder on a larger disk.",
        )
    else:
        yield Check("home", "ok", f"{root}: {format_size(free)} free")
    try:
        cache = uv.cache_folder()
    except EnvironmentBuildError:
        return  # told already, by the check of uv
    yield _links(root, cache)


def _links(root: Path, cache: Path) -> Check:
    """Whether a file in uv's cache can have a second name in the home."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=root, prefix=".doctor-") as folder,
            tempfile.NamedTemporaryFile(dir=cache, prefix=".visiontrain-doctor-") as file,
        ):
            os.link(file.name, Path(folder) / "link")
    except OSError as error:
        return Check(
            "uv's cache",
            "warn",
            f"{cache}: no hardlinks to the home ({error.strerror}), so each environment is a copy of its packages",
            "Put both on one disk: set UV_CACHE_DIR or VISIONTRAIN_HOME.",
        )
    return Check("uv's cache", "ok", f"{cache}: environments share its files")


def _plugins(session: Session) -> Iterator[Check]:
    plugins = session.plugins()
    if not plugins:
        yield Check("plugins", "fail", "none is installed", "Install one: pip install visiontrain-timm")
    for plugin in plugins:
        name = f"plugin {plugin.name}"
        if plugin.error:
            reason, _, instruction = plugin.error.partition("\n")
            yield Check(name, "fail", reason, instruction or f"Upgrade or uninstall {plugin.distribution}.")
        else:
            added = [manifest.name for manifest in plugin.frameworks] + [each.name for each in plugin.trackers]
            yield Check(name, "ok", f"{plugin.distribution} {plugin.version}: {', '.join(added)}")


def _environment(session: Session, manifest: Manifest | TrackerManifest, driver: str | None) -> Iterator[Check]:
    name = f"environment {manifest.name}"
    build = f"Build it: visiontrain env build {manifest.name}"
    tracks = isinstance(manifest, TrackerManifest)
    try:
        found = EnvironmentStore(session.home.environments).resolve(session.definition(manifest.name))
        if found is None:
            first = "first run that is tracked" if tracks else "first training"
            yield Check(name, "warn", f"not built yet; the {first} builds it", build)
            return
        worker = _ask(session, manifest, found)
    except VisiontrainError as error:
        yield Check(name, "fail", error.reason, error.instruction or build)
        return
    versions = ", ".join(f"{package} {version}" for package, version in worker.versions.items())
    how = "locked" if found.locked else "adopted"
    devices = "; ".join(_device_in_words(device) for device in worker.devices)
    computes = "" if tracks else f"; devices: {devices or 'unknown'}"
    yield Check(name, "ok", f"{found.id} ({how}): {versions}{computes}")
    for warning in found.warnings:
        yield Check(name, "warn", warning, "Adopt another interpreter, or build the environment.")
    if not tracks and driver is not None and not any(device.name.startswith("cuda") for device in worker.devices):
        yield Check(
            f"GPU in {manifest.name}",
            "fail",
            f"torch {worker.versions.get('torch', '')} of this environment can't use the GPU with driver {driver}",
            f"Build for the driver: visiontrain env build {manifest.name} --torch-backend auto; or update the driver.",
        )


def _ask(session: Session, manifest: Manifest | TrackerManifest, environment: Generation) -> InitializeResult:
    python, links, passthrough = environment.python, session.home.links, session.passthrough
    if isinstance(manifest, TrackerManifest):
        command = tracker_command(manifest, python, links=links, passthrough=passthrough)
    else:
        command = worker_command(manifest, python, links=links, passthrough=passthrough)
    with WorkerConnection(command) as worker:
        return worker.initialize()


def _device_in_words(device: Device) -> str:
    memory = f", {format_size(device.memory)}" if device.memory else ""
    return f"{device.name} {device.description}".strip() + memory
