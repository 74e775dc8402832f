"""``run.json``: what a run was asked for, what it runs on and how it stands. Written by the supervisor alone."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from visiontrain.protocol.codec import dumps, loads
from visiontrain.protocol.events import Status
from visiontrain.protocol.messages import ErrorInfo, InitializeResult
from visiontrain.protocol.structure import structure, unstructure

__all__ = [
    "RECORD",
    "CheckpointRecord",
    "DataRecord",
    "EnvironmentRecord",
    "RunRecord",
    "discard_unfinished",
    "now",
    "read_record",
    "write_atomically",
    "write_record",
]

FORMAT_VERSION = 1

#: The record's name in its run's folder.
RECORD = "run.json"


@dataclass(frozen=True)
class DataRecord:
    """The data that a run was trained on. `fingerprint` identifies names, contents, splits and labels.

    `multi_label` says that an image may have any number of classes; `warnings` is what was odd about the data.
    """

    path: str
    index: str
    format: str
    fingerprint: str
    splits: dict[str, int]
    classes: tuple[str, ...]
    multi_label: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnvironmentRecord:
    """The generation of an environment that a run used."""

    name: str
    generation: str
    python: str
    digest: str
    locked: bool


@dataclass(frozen=True)
class CheckpointRecord:
    """A checkpoint. `path` is relative to the run's folder."""

    path: str
    step: int
    epoch: float
    exact: bool = True


@dataclass(frozen=True)
class RunRecord:
    """A run. Times are ISO 8601 in UTC. `spec` is the person's request, validated, as it can be sent again.

    `kind` is train, evaluate or export; of the last two, `parent` is the id of the training whose checkpoint is used.
    """

    run_id: str
    kind: str
    status: Status
    created_at: str
    framework: str
    task: str
    model: str
    plugin_version: str
    licence: str
    spec: Mapping[str, Any]
    data: DataRecord
    environment: EnvironmentRecord
    name: str | None = None
    parent: str | None = None
    format: int = FORMAT_VERSION
    attempt: int = 1
    started_at: str | None = None
    ended_at: str | None = None
    reason: str | None = None
    supervisor_pid: int | None = None
    worker: InitializeResult | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    non_finite: dict[str, str] = field(default_factory=dict)  # what stands behind each null of `metrics`
    best: CheckpointRecord | None = None
    last: CheckpointRecord | None = None
    error: ErrorInfo | None = None


def read_record(path: Path) -> RunRecord:
    """Read a record.

    Raises:
        FileNotFoundError: there is none.
        ProtocolError: it is not a record, or a newer version's.
    """
    return structure(RunRecord, loads(path.read_bytes()))


def now() -> str:
    """The present as ISO 8601 in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def write_record(path: Path, record: RunRecord) -> None:
    """Replace the record in one step: a reader sees the old one or the new one, whole."""
    write_atomically(path, dumps(unstructure(record)) + b"\n")


def discard_unfinished(path: Path) -> None:
    """Remove what writers of that file left who were killed; for whoever is its only writer now."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's contents in one step, on disk before it is visible."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong is told, not that it went on going wrong
            temporary.unlink()
        raise
