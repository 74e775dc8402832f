"""Starts processes of every kind and leaves them behind."""

from __future__ import annotations

import os
import subprocess
import time

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy

SLEEP = ["/bin/sleep", "600"]


class Trainer(Healthy):
    """Writes the process ids to ``artifacts/pids``, then does what the option `then` says."""

    def train(self, context: RunContext) -> TrainResult:
        pids = [os.getpid(), subprocess.Popen(SLEEP).pid, subprocess.Popen(SLEEP, start_new_session=True).pid]
        pids += [_forked(), _orphan()]
        path = context.artifacts_dir / "pids"
        path.write_text(" ".join(map(str, pids)), encoding="utf-8")
        context.artifact(path, kind="pids")
        then = context.params.options["then"]
        if then == "crash":
            os.kill(os.getpid(), 9)
        while then == "go on" or (then == "stop" and not context.stop_requested):
            time.sleep(0.01)
        return TrainResult("completed" if then == "complete" else "stopped", 1.0)


def _forked() -> int:
    """A child that holds what this process has open."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    return pid


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
