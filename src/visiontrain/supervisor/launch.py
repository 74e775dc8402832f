"""What a host tells a supervisor to do: one JSON line over the socket, so that no secret touches the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from visiontrain.supervisor.record import RunRecord

__all__ = ["Deadlines", "DeviceLimit", "Launch", "WorkerCommand"]


@dataclass(frozen=True)
class WorkerCommand:
    """How a worker is started: program and arguments, its whole environment, its trainer."""

    argv: tuple[str, ...]
    env: dict[str, str]
    trainer: str


@dataclass(frozen=True)
class Deadlines:
    """Seconds that each step of stopping is given before the next one."""

    stop: float = 120.0  # a flag, seen at the next safe point; then the checkpoint is written
    interrupt: float = 10.0  # SIGINT, a KeyboardInterrupt in Python code; then everything is killed
    host_gone: float = 6.0  # instead of `stop` when the host died: all is over within ten seconds
    shutdown: float = 5.0  # a worker that has answered may end by itself for so long


@dataclass(frozen=True)
class DeviceLimit:
    """How many runs of a home may use a device at once. `folder` is where their queues are."""

    folder: str
    runs: int


@dataclass(frozen=True)
class Launch:
    """One attempt at a run. `params` are those of the request that the run's kind names, passed on as they are.

    `device` stands in the place of theirs once it is this run's turn on one.
    """

    run_dir: str
    record: RunRecord
    command: WorkerCommand
    params: Mapping[str, Any]
    device: str
    detached: bool = False
    deadlines: Deadlines = field(default_factory=Deadlines)
    limit: DeviceLimit | None = None  # None: no run waits for another
    locks: tuple[str, ...] = ()  # files held with a shared lock while the run goes on: the environment in use
