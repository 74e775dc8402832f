"""The supervisor's program: ``python -I -S -c BOOTSTRAP FOLDER``, the host's socket on descriptor 0."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import socket
import sys
import time
from pathlib import Path

from visiontrain.errors import VisiontrainError
from visiontrain.protocol.structure import structure
from visiontrain.storage import explained, flock
from visiontrain.supervisor.guard import run_guarded
from visiontrain.supervisor.launch import Launch
from visiontrain.supervisor.link import HostLink
from visiontrain.supervisor.loop import Supervisor
from visiontrain.supervisor.process import exit_in_words
from visiontrain.supervisor.record import RECORD, read_record

__all__ = ["BOOTSTRAP", "LOCK_FILE", "main"]

#: Started with ``-c``; the first argument is the folder that holds the package `visiontrain`.
BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from visiontrain.supervisor.main import main; main()"

#: Held (flock) for as long as a supervisor works on the run: "running" means that this lock is held.
LOCK_FILE = "lock"


def main() -> None:
    """Leave the host's session, take the run's lock, drive the worker."""
    if os.fork():  # the host shall have no child to wait for, and we no controlling terminal
        os._exit(0)
    os.setsid()
    link = HostLink(socket.socket(fileno=os.dup(0)))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    launch = structure(Launch, link.receive_launch())
    try:
        _take_up(launch, link)
    except VisiontrainError as error:
        link.refuse(error)


def _take_up(launch: Launch, link: HostLink) -> None:
    """Do what was asked, or tell the host why it can't be done.

    Raises:
        StorageError: the disk, before anything was begun.
        ProtocolError: the record of an earlier attempt is damaged.
    """
    run_dir = Path(launch.run_dir)
    with explained(f"the run {launch.record.run_id} can't be begun"):
        log = os.open(run_dir / "worker.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 2)
    os.close(log)
    lock = _lock(run_dir / LOCK_FILE, fcntl.LOCK_EX)
    if lock is None:
        link.say("refused", reason="another process is working on the run")
        return
    if _attempts(run_dir) >= launch.record.attempt:  # the host read the record before we had the lock
        link.say("refused", reason="another process has gone on with the run meanwhile")
        return
    held = [_lock(Path(path), fcntl.LOCK_SH, create=False) for path in launch.locks]
    if None in held:
        link.say("refused", reason="the environment is being removed")
        return
    status = run_guarded(lambda: _supervise(launch, link))
    if os.WIFSIGNALED(status):
        print(f"visiontrain: the supervisor was {exit_in_words(status)}", file=sys.stderr)  # noqa: T201 - the run's log
    # In this order: whoever learns from the link that the run is over must not find it busy.
    for fd in (*held, lock):
        if fd is not None:
            os.close(fd)
    link.close()


def _supervise(launch: Launch, link: HostLink) -> None:
    try:
        with explained(f"the run {launch.record.run_id} can't be begun"):
            supervisor = Supervisor(launch, link, _wakeup())
            supervisor.begin()
    except VisiontrainError as error:
        link.refuse(error)
        return
    signal.signal(signal.SIGTERM, lambda *_: setattr(supervisor, "terminated", True))
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Thousands of events come and go without a cycle among them, and looking for one every 700 objects costs as much
    # as a fourth of the rest.
    gc.freeze()
    gc.set_threshold(100_000)
    link.say("started", pid=os.getpid())
    supervisor.run()


def _attempts(run_dir: Path) -> int:
    """How many attempts the record tells of.

    Raises:
        StorageError, ProtocolError: the record can't be read.
    """
    with explained("the run's record can't be read"):
        try:
            return read_record(run_dir / RECORD).attempt
        except FileNotFoundError:
            return 0


def _lock(path: Path, operation: int, *, create: bool = True, patience: float = 1.0) -> int | None:
    """Take a lock that the kernel frees when we end, however that happens. None if somebody else holds it.

    Whoever asks for a run's status takes the lock for an instant: hence the patience, in seconds.

    Raises:
        StorageError: the file system has no locks, or the file can't be opened.
    """
    with explained("a lock can't be taken"):
        try:
            fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o644)
        except FileNotFoundError:  # its folder was removed: somebody had it to himself
            return None
    deadline = time.monotonic() + patience
    while True:
        if flock(fd, operation | fcntl.LOCK_NB, path):
            if _is_at(fd, path):
                return fd
            os.close(fd)  # who held it removed it
            return None
        if time.monotonic() > deadline:
            os.close(fd)
            return None
        time.sleep(0.01)


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _wakeup() -> int:
    """A descriptor that becomes readable when a signal comes: a child's end must not wait for the next tick."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader
