"""What a tracker is told of a run beside its numbers: parameters and tags, made from its record."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from visiontrain.protocol.codec import dumps
from visiontrain.supervisor.record import RunRecord

__all__ = ["milliseconds", "params_of", "source_tags", "tags_of", "texts_of"]

#: Fields of a spec that are no parameters: they say where and under which name, not how.
_NOT_PARAMS = frozenset({"data", "name", "options", "tracking", "output", "run"})


def params_of(record: RunRecord) -> dict[str, str]:
    """The request with everything that was decided, flat: of the framework's options each by its own name."""
    spec = {name: value for name, value in record.spec.items() if name not in _NOT_PARAMS}
    options = record.spec.get("options") or {}
    told = {"framework": record.framework, "task": record.task, "model": record.model, **spec, **options}
    return {name: _text(value) for name, value in told.items() if value is not None}


def tags_of(record: RunRecord, run_dir: str, source: Mapping[str, str]) -> dict[str, str]:
    """Where the run's record is, what it ran with and on, and how it stands."""
    tags = {
        **source,
        "run_dir": run_dir,
        "kind": record.kind,
        "status": record.status,
        "attempt": str(record.attempt),
        "framework": record.framework,
        "plugin_version": record.plugin_version,
        "licence": record.licence,
        "environment": f"{record.environment.name}@{record.environment.generation}",
        "environment.digest": record.environment.digest,
        "environment.locked": str(record.environment.locked).lower(),
        "data.path": record.data.path,
        "data.format": record.data.format,
        "data.fingerprint": record.data.fingerprint,
        "data.images": ", ".join(f"{name} {count}" for name, count in record.data.splits.items()),
        "data.classes": str(len(record.data.classes)),
    }
    if "seed" in record.spec:
        tags["seed"] = str(record.spec["seed"])
    if record.reason:
        tags["reason"] = record.reason
    if record.error is not None:
        tags["error"] = record.error.headline
    worker = record.worker
    if worker is not None:
        tags.update({f"version.{name}": version for name, version in worker.versions.items()})
        tags["devices"] = ", ".join(
            f"{device.name} ({device.description})" if device.description else device.name for device in worker.devices
        )
        if worker.cpu is not None:
            tags["cpu"] = f"{worker.cpu.threads} threads, {worker.cpu.capability}"
    return tags


def texts_of(record: RunRecord) -> dict[str, str]:
    """The class map as a file: names by class index."""
    names = {str(number): name for number, name in enumerate(record.data.classes)}
    return {"class_map.json": dumps(names).decode() + "\n"} if names else {}


def source_tags() -> dict[str, str]:
    """Who starts a run from where: the person, the machine, and the git repository that this process is in."""
    tags = {"host": socket.gethostname()}
    try:
        tags["user"] = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        tags["user"] = str(os.getuid())
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags["git.commit"] = commit
        changed = _git("status", "--porcelain", "--untracked-files=no")
        if changed is not None:
            tags["git.dirty"] = str(bool(changed)).lower()
        branch = _git("rev-parse", "--abbrev-ref", "HEAD")
        if branch and branch != "HEAD":
            tags["git.branch"] = branch
    return tags


def milliseconds(moment: str | None) -> int | None:
    """A time of a record (ISO 8601) in milliseconds since the epoch."""
    return None if moment is None else round(datetime.fromisoformat(moment).timestamp() * 1000)


def _git(*arguments: str) -> str | None:
    """What git says; None where there is no git, no repository, or no answer in time."""
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the person's git
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=True,
            env=env,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else dumps(value).decode()
