"""From nothing to a worker's first reply, against importing the framework alone in the same environment.

Run with the host's interpreter: ``python benchmarks/worker_start.py``; the environment is built where it is missing.
"""

from __future__ import annotations

import time

from measuring import compare, finish, report, wall

from visiontrain import Session
from visiontrain.runners.command import worker_command
from visiontrain.runners.connection import WorkerConnection


def main() -> None:
    """Print the ratio."""
    session = Session()
    python = session.build_environment("timm").python
    command = worker_command(session.framework("timm").manifest, python, links=session.home.links)

    def first_reply() -> float:
        begin = time.perf_counter()
        with WorkerConnection(command) as worker:
            worker.initialize()
            return time.perf_counter() - begin

    def imports() -> float:
        return wall([str(python), "-c", "import torch, timm"])

    started, imported = compare(first_reply, imports, rounds=7)
    finish([report("worker start to first reply", started, imported, limit=1.5, unit="s", scale=1)])


if __name__ == "__main__":
    main()
