"""Starts processes of every kind and leaves them behind."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import subprocess
import time
from pathlib import Path

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy

SLEEP = ["/bin/sleep", "600"]


class Trainer(Healthy):
    """Writes the process ids to ``artifacts/pids``, then does what the option `then` says."""

    def train(self, context: RunContext) -> TrainResult:
        path = context.artifacts_dir / "pids"
        leave_children(path)
        context.artifact(path, kind="pids")
        then = context.params.options["then"]
        if then == "crash":
            os.kill(os.getpid(), 9)
        if then == "hold the GIL":
            hold_gil()
        while then == "go on" or (then == "stop" and not context.stop_requested):
            time.sleep(0.01)
        return TrainResult("completed" if then == "complete" else "stopped", 1.0)


class WhenAsked(Healthy):
    """Does it when asked for its models: variables name the file for the process ids, and what comes then."""

    def models(self):
        leave_children(Path(os.environ["VISIONTRAIN_TEST_PIDS"]))
        then = os.environ["VISIONTRAIN_TEST_THEN"]
        if then == "crash":
            os.kill(os.getpid(), 9)
        if then == "hold the GIL":
            hold_gil()
        return super().models()


def leave_children(path: Path) -> None:
    """Write this process's id to `path`, those of its children, and last that of a daemon, which is no child of it."""
    pids = [os.getpid(), subprocess.Popen(SLEEP).pid, subprocess.Popen(SLEEP, start_new_session=True).pid]
    pids += [_forked(), _spawned(), _orphan()]
    written = path.with_suffix(".part")
    written.write_text(" ".join(map(str, pids)), encoding="utf-8")
    written.replace(path)


def hold_gil() -> None:
    """Enter C code that never returns, whatever signal comes, and lets no other thread run."""
    library = ctypes.PyDLL(None)
    mutex = ctypes.create_string_buffer(256)
    library.pthread_mutex_init(mutex, None)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def _forked() -> int:
    """A child that holds what this process has open."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    return pid


def _spawned() -> int:
    """A child as torch's loaders are on macOS, and everywhere from Python 3.14 on."""
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    child.start()
    return child.pid


def _orphan() -> int:
    """A grandchild in a session of its own whose parent has ended: a daemon."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.write(writer, str(subprocess.Popen(SLEEP).pid).encode())
        os._exit(0)
    pid = int(os.read(reader, 32))
    os.close(reader)
    os.close(writer)
    return pid
