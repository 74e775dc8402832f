"""The machine's memory, as far as this process may have of it. Standard library only."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_ram", "peak_ram", "ram_in_use", "total_ram"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


def total_ram(root: Path = Path("/")) -> int:
    """Bytes of memory that the machine has, or this process's container where that has less.

    Args:
        root: Where ``/proc`` and ``/sys`` are looked for.
    """
    physical = _meminfo(root, "MemTotal") or os.sysconf("SC_PHYS_PAGES") * _PAGE
    return min([physical, *(limit for limit, _ in _containers(root))])


def available_ram(root: Path = Path("/")) -> int:
    """Bytes that can still be had without pushing others out. Where the system does not tell, half of what there is.

    Args:
        root: Where ``/proc`` and ``/sys`` are looked for.
    """
    free = _meminfo(root, "MemAvailable") or total_ram(root) // 2
    return max(0, min([free, *(limit - used for limit, used in _containers(root))]))


def ram_in_use() -> int:
    """Bytes that this process and those that it started through `multiprocessing` hold; shared ones count once.

    Where the system does not tell, the most that this process alone ever held.
    """
    pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children() if child.pid)]
    shares = [_share(pid) for pid in pids]
    return sum(share for share in shares if share is not None) if shares[0] is not None else peak_ram()


def peak_ram() -> int:
    """The most bytes that this process alone ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _share(pid: int) -> int | None:
    """A process's memory, what it shares with others divided among them."""
    return _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss")


def _meminfo(root: Path, name: str) -> int | None:
    return _field(root / "proc/meminfo", name)


def _field(path: Path, name: str) -> int | None:
    """Bytes of a line such as ``MemTotal:  1024 kB``."""
    try:
        lines = path.read_text("ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)


def _containers(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use, in bytes, of each control group that this process is in and that has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _limits(root / "sys/fs/cgroup", path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            yield from _limits(base, path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _limits(base: Path, path: str, limit: str, use: str, reclaimable: str) -> Iterator[tuple[int, int]]:
    folder = base / path.lstrip("/")
    for group in (folder, *folder.parents):
        found, used = _number(group / limit), _number(group / use)
        if found is not None and used is not None:
            # Pages of files that nobody needs at present are counted, and given back when there is need.
            yield found, max(0, used - (_stat(group / "memory.stat", reclaimable) or 0))
        if group == base:
            return


def _number(path: Path) -> int | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None  # "max": no limit


def _stat(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text("ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)
