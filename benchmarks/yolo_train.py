"""Trainings through visiontrain against the same ones with ``yolo train``, Ultralytics' own command.

Same environment, model, data, image size, batch size, number of epochs and seeds; from scratch, on the CPU; both with
their own defaults. Ultralytics computes in float32 there, and loads images between the steps.

The best epoch's map50 is compared as the mean over the seeds, and may be lower by what chance does. Images a second of
training are compared as the median of the epochs, the time of a whole run from the start of a process to its end.

Two image sizes are measured: at 320 the model's convolutions take most of the time, at 128 loading, the optimizer and
what comes once an epoch count as well. An epoch of the sample's 300 images makes 19 optimizer steps here, and 5 there.

Run with the host's interpreter: ``python benchmarks/yolo_train.py [--data FOLDER] [--image-size N ...] ...``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from measuring import finish

from visiontrain import Session
from visiontrain.datasets.samples import make_sample
from visiontrain.runners.variables import UNLESS_SET, worker_variables

INSIDE = Path(__file__).parent / "inside" / "usual_yolo_train.py"

#: What Ultralytics calls the task's map50.
METRICS = {"seg": "metrics/mAP50(M)", "pose": "metrics/mAP50(P)"}

#: By how much map50 may be lower for a seed: what two seeds of one loop were seen to differ by.
CHANCE = 0.05


@dataclass(frozen=True)
class Result:
    """A training: by epoch, map50 and images a second; and its time in seconds."""

    map50: list[float]
    images_per_second: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Images a second of an epoch in the middle."""
        return statistics.median(self.images_per_second)


class Trainings:
    """The same training, done by either, at one image size."""

    def __init__(
        self, session: Session, asked: argparse.Namespace, image_size: int, *, data: Path, folder: Path
    ) -> None:
        self._session, self._asked, self._image_size, self._data, self._folder = (
            session,
            asked,
            image_size,
            data,
            folder,
        )
        self._python = session.build_environment("yolo").python

    def warm_up(self) -> None:
        """An epoch each, so that what is kept for later is made: the data's index, bytecode, files in memory."""
        epochs, self._asked.epochs = self._asked.epochs, 1
        self.visiontrain(0)
        self.ultralytics(0)
        self._asked.epochs = epochs

    def visiontrain(self, seed: int) -> Result:
        """Through visiontrain, with its defaults."""
        begin = time.perf_counter()
        run = self._session.start(
            self._data,
            model=self._asked.model,
            weights="scratch",
            epochs=self._asked.epochs,
            batch_size=self._asked.batch_size,
            image_size=self._image_size,
            device="cpu",
            seed=seed,
        ).wait()
        taken = time.perf_counter() - begin
        return Result([row["map50"] for row in run.history], [row["images_per_second"] for row in run.history], taken)

    def ultralytics(self, seed: int) -> Result:
        """With Ultralytics' API, on a copy of the data: it writes into the folder."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        copy = folder / "data"
        shutil.copytree(self._data, copy)
        description = copy / "data.yaml"
        description.write_text(description.read_text("utf-8").replace("path: .", f"path: {copy}"), encoding="utf-8")
        settings = {
            "data": str(description),
            "output": str(folder),
            "seed": seed,
            "metric": METRICS.get(self._asked.model.partition("-")[2], "metrics/mAP50(B)"),
            "image_size": self._image_size,
            **{name: getattr(self._asked, name) for name in ("model", "epochs", "batch_size")},
        }
        begin = time.perf_counter()
        done = subprocess.run(
            [str(self._python), "-I", str(INSIDE), json.dumps(settings)],
            check=True, stdout=subprocess.PIPE, text=True, env=usual_variables(),
        )  # fmt: skip
        taken = time.perf_counter() - begin
        return Result(**json.loads(done.stdout.splitlines()[-1]), seconds=taken)


def usual_variables() -> dict[str, str]:
    """What a worker sees, without what visiontrain sets to make it faster."""
    return {name: value for name, value in worker_variables().items() if name in os.environ or name not in UNLESS_SET}


def main() -> None:
    """Print every result, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a YOLO folder whose data.yaml says path: . (default: a sample)")
    parser.add_argument("--model", default="yolo26n")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, nargs="+", default=[128, 320])
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    good: list[bool] = []
    with tempfile.TemporaryDirectory(prefix="visiontrain-benchmark-") as name:
        data = asked.data.resolve() if asked.data else make_sample("boxes", Path(name, "boxes"))
        session = Session()
        for image_size in asked.image_size:
            trainings = Trainings(session, asked, image_size, data=data, folder=Path(name))
            trainings.warm_up()
            good += compare(trainings, asked.seeds, image_size)
    finish(good)


def compare(trainings: Trainings, seeds: int, image_size: int) -> list[bool]:
    """Train with each seed in turns, and say which limits were kept."""
    pairs: list[tuple[Result, Result]] = []
    for seed in range(seeds):
        ours = trainings.visiontrain(seed)
        show("visiontrain", image_size, seed, ours)
        theirs = trainings.ultralytics(seed)
        show("ultralytics", image_size, seed, theirs)
        pairs.append((ours, theirs))
    score = statistics.mean(max(a.map50) - max(b.map50) for a, b in pairs)
    rate = statistics.median(a.rate / b.rate for a, b in pairs)
    whole = statistics.median(a.seconds / b.seconds for a, b in pairs)
    good = [score >= -CHANCE, rate >= 1.0, whole <= 1.0]
    print(
        f"{image_size} px against yolo train: map50 {score:+.4f} (limit {-CHANCE:+.4f}); {rate:.3f} times the images/s "
        f"(limit 1); {whole:.3f} times the time (limit 1) {'ok' if all(good) else 'WORSE'}",
        flush=True,
    )
    return good


def show(way: str, image_size: int, seed: int, result: Result) -> None:
    """Print a training."""
    print(
        f"{way:12} {image_size} px, seed {seed}: map50 {max(result.map50):.4f} best, {result.map50[-1]:.4f} last; "
        f"{result.rate:.1f} images/s; {result.seconds:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
