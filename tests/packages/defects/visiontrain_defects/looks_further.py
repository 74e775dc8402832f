"""Tells which variables are seen by what a worker starts, and by what started it; not a defect."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy

TELL = "import json, os, sys; print(json.dumps([dict(os.environ), sys.path]))"


def _look(queue) -> None:
    queue.put(dict(os.environ))


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        seen = {}
        for how in ("fork", "spawn", "forkserver"):
            chosen = multiprocessing.get_context(how)
            queue = chosen.SimpleQueue()
            child = chosen.Process(target=_look, args=(queue,))
            child.start()
            seen[how] = queue.get()
            child.join()
        done = subprocess.run([sys.executable, "-c", TELL], stdout=subprocess.PIPE, check=True)
        seen["python"], path = json.loads(done.stdout)
        pid = os.getppid()
        while sys.platform == "linux" and len(seen) < 6:  # the supervisor, and the guard above it
            text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "surrogateescape")
            seen[f"above {len(seen)}"] = dict(line.partition("=")[::2] for line in text.split("\0") if line)
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        context.log(json.dumps([seen, path]))
        return TrainResult("completed", 1.0)
