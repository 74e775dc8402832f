"""Five epochs through visiontrain, against the same loop run directly in the environment's python.

Both times are whole: from the start of a process to its end, imports included. The data is the sample `shapes`.

Run with the host's interpreter: ``python benchmarks/training_overhead.py [ROUNDS]``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from measuring import compare, finish, report, request_of, wall

from visiontrain import Run, Session
from visiontrain.datasets.samples import make_sample
from visiontrain.runners.links import link_folder
from visiontrain.runners.variables import worker_variables

DIRECT = """
import json, sys
sys.path.append(sys.argv[1])
from visiontrain.protocol.messages import TrainParams
from visiontrain.protocol.structure import structure
from visiontrain.worker.context import RunContext
from visiontrain_timm.trainer import TimmTrainer
context = RunContext(structure(TrainParams, json.loads(sys.argv[2])), lambda event: None)
context.checkpoints_dir.mkdir()
context.artifacts_dir.mkdir()
trainer = TimmTrainer()
trainer.describe()
trainer.train(context)
"""


def main() -> None:
    """Print the ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    session = Session()
    framework = session.framework("timm")
    environment = session.build_environment("timm")
    links = link_folder(session.home.links, framework.manifest.packages)
    with tempfile.TemporaryDirectory(prefix="visiontrain-benchmark-") as name:
        folder = Path(name)
        make_sample("shapes", folder / "shapes")
        done: list[Run] = []

        def through() -> float:
            begin = time.perf_counter()
            run = session.start(
                folder / "shapes", model="resnet18", weights="scratch", epochs=5, image_size=64, device="cpu"
            ).wait()
            taken = time.perf_counter() - begin
            done.append(run)
            return taken

        def direct() -> float:
            request = request_of(done[-1], Path(tempfile.mkdtemp(dir=folder)))
            argv = [str(environment.python), "-I", "-X", "utf8", "-c", DIRECT, str(links)]
            return wall([*argv, json.dumps(request)], env=worker_variables())

        ours, theirs = compare(through, direct, rounds=rounds)
        finish([report("five epochs", ours, theirs, limit=1.02, unit="s", scale=1)])


if __name__ == "__main__":
    main()
