"""Sharing devices out among the runs of a home: so many at once on each, the others wait in order.

Each run that uses a device, or waits for it, holds a ticket: a file below ``devices/<machine>/<device>/``, locked with
``flock`` for as long as its supervisor lives. The kernel frees the lock of a dead holder, so its ticket counts no more.
The first tickets in order of their numbers run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from visiontrain.protocol.messages import Device
from visiontrain.storage import explained, flock
from visiontrain.supervisor.launch import DeviceLimit

__all__ = ["Place", "candidates", "join"]

#: Held while tickets are looked through or taken: for moments.
_MUTEX = "mutex"

#: Whatever else lies in a queue, such as what a network file system keeps of a ticket that is gone, is none.
_TICKETS = "[0-9]*-*"


class Place:
    """A run's place in the queue of a device. `device` is the device's name, as the worker calls it.

    Made by `join`, while nobody else changes the queues.
    """

    def __init__(self, queues: Path, limit: int, run_id: str, devices: Sequence[Device]) -> None:
        self._queues = queues
        self._limit = limit
        self._run_id = run_id
        self._devices = devices
        self._enter(min(devices, key=lambda device: len(_live_tickets(self._queue(device)))))

    def waits_for(self) -> str | None:
        """What must happen before it is this run's turn, in words; None once it is.

        The first of those that wait takes another device of its kind that has become free: `device` changes then.

        Raises:
            StorageError: the disk does not let the queue be looked through.
        """
        with explained(f"the queue for {self.device} can't be looked through"), _alone(self._queues):
            ahead = [
                _run_of(ticket) for ticket in _live_tickets(self._ticket.parent) if ticket.name < self._ticket.name
            ]
            free = self._free_device() if len(ahead) == self._limit else None
            if free is not None:
                ticket, fd = self._ticket, self._fd
                self._enter(free)
                _remove(ticket, fd)
        if len(ahead) < self._limit or free is not None:
            return None
        using, waiting = ahead[: self._limit], len(ahead) - self._limit
        runs = f"the run {using[0]} uses" if len(using) == 1 else f"{len(using)} runs use"
        queue = f"; {waiting} wait{'s' if waiting == 1 else ''} before this one" if waiting else ""
        return f"waiting for {self.device}, which {runs}{queue}"

    def leave(self) -> None:
        """Give the place up."""
        with contextlib.suppress(OSError):  # whoever looks next finds that nobody holds it
            _remove(self._ticket, self._fd)

    def _enter(self, device: Device) -> None:
        self.device = device.name
        queue = self._queue(device)
        queue.mkdir(exist_ok=True)
        tickets = _live_tickets(queue)
        last = int(tickets[-1].name.partition("-")[0]) if tickets else 0
        self._ticket = queue / f"{last + 1:09d}-{self._run_id}"
        self._fd = os.open(self._ticket, os.O_RDWR | os.O_CREAT, 0o644)
        flock(self._fd, fcntl.LOCK_EX, self._ticket)

    def _free_device(self) -> Device | None:
        others = (device for device in self._devices if device.name != self.device)
        return next((device for device in others if len(_live_tickets(self._queue(device))) < self._limit), None)

    def _queue(self, device: Device) -> Path:
        return self._queues / _file_name(device.id or device.name)


def candidates(asked: str, devices: Sequence[Device]) -> tuple[Device, ...]:
    """Devices that a run may be put on, the best first; none where the worker knows no such device.

    ``auto`` means any of the kind of the best one, ``cuda`` any GPU, and a device's name that device alone.
    """
    kinds = {"auto": _kind(devices[0].name) if devices else "", "cuda": "cuda", "mps": "mps"}
    if asked in kinds:
        return tuple(device for device in devices if _kind(device.name) == kinds[asked])
    return tuple(device for device in devices if device.name == asked)


def join(limit: DeviceLimit, run_id: str, devices: Sequence[Device]) -> Place:
    """Queue up for that one of the devices where fewest runs are.

    Args:
        limit: Where the queues are, and how many runs may use a device at once.
        run_id: The run.
        devices: One at least; the first of those that are equally busy is taken.

    Raises:
        StorageError: the disk does not take the run's ticket, or has no locks.
    """
    queues = Path(limit.folder) / _file_name(platform.node() or "localhost")
    failure = "the run can't queue up for a device"
    with explained(failure):
        queues.mkdir(parents=True, exist_ok=True)
    with explained(failure), _alone(queues):
        return Place(queues, limit.runs, run_id, devices)


def _remove(ticket: Path, fd: int) -> None:
    try:
        ticket.unlink()
    finally:
        os.close(fd)


def _live_tickets(queue: Path) -> list[Path]:
    """Tickets whose holders live, in order; those of dead holders are removed."""
    if not queue.is_dir():
        return []
    live = []
    for ticket in sorted(queue.glob(_TICKETS)):
        try:
            fd = os.open(ticket, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            if flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, ticket):
                ticket.unlink(missing_ok=True)
            else:
                live.append(ticket)
        finally:
            os.close(fd)
    return live


@contextlib.contextmanager
def _alone(queues: Path) -> Iterator[None]:
    fd = os.open(queues / _MUTEX, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        flock(fd, fcntl.LOCK_EX, queues / _MUTEX)
        yield
    finally:
        os.close(fd)


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _run_of(ticket: Path) -> str:
    return ticket.name.partition("-")[2]


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.:_-]", "_", text)
