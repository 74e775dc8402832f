"""Trainings through visiontrain against the same ones with timm's public API, as timm's own training script does them.

Same environment, model, data, image size, batch size, number of epochs and seeds; from scratch, on the CPU; each loop
with its own defaults where neither says otherwise. timm's loop runs

- ``defaults``: with the defaults of timm's script, which has SGD, float32 and four loader processes,
- ``fast``: likewise, with the settings of it that are fast on a CPU: bfloat16, channels_last, two loader processes,
- ``alike``: like ``fast``, with visiontrain's optimizer, learning rate, schedule and augmentation.

Final accuracy, the best epoch's and the last one's, is compared as the mean over the seeds; against ``alike``, which
learns the same, it may be lower by what chance does. Images a second of training are compared as the median of the
epochs, the time of a whole run, which has no limit, from the start of a process to its end.

Run with the host's interpreter: ``python benchmarks/timm_loop.py [--data FOLDER] [--epochs N] ...``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import finish

from visiontrain import Session
from visiontrain.datasets.samples import make_sample
from visiontrain.runners.variables import worker_variables

INSIDE = Path(__file__).parent / "inside" / "usual_timm_loop.py"

#: Those of timm's script, under its names; learning rates are for its batch size of 256.
DEFAULTS: dict[str, Any] = {
    "opt": "sgd",
    "momentum": 0.9,
    "weight_decay": 2e-5,
    "lr_base": 0.1,
    "warmup_epochs": 5,
    "warmup_lr": 1e-5,
    "warmup_prefix": False,
    "min_lr": 0.0,
    "sched_on_updates": False,
    "smoothing": 0.1,
    "scale": (0.08, 1.0),
    "color_jitter": 0.4,
    "train_interpolation": "random",
    "workers": 4,
    "amp": False,
    "channels_last": False,
}
FAST: dict[str, Any] = {"amp": True, "channels_last": True, "workers": 2}

#: Smallest share of timm's images a second: what is measured twice differs by as much.
LIMIT = 0.98


@dataclass(frozen=True)
class Result:
    """A training: by epoch, accuracy and images a second; and its time in seconds."""

    accuracy: list[float]
    images_per_second: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Images a second of an epoch in the middle."""
        return statistics.median(self.images_per_second)


class Trainings:
    """The same training, done by either loop."""

    def __init__(self, session: Session, asked: argparse.Namespace, data: Path, folder: Path) -> None:
        self._session, self._asked, self._data, self._folder = session, asked, data, folder
        self._python = session.build_environment("timm").python
        self._rate, self._validated = 0.0, 1

    def warm_up(self) -> None:
        """An epoch each, so that what is kept for later is made: the data's index, bytecode, files in memory."""
        epochs, self._asked.epochs = self._asked.epochs, 1
        self.visiontrain(0)
        self.timm(0, {**FAST, "warmup_epochs": 0})
        self._asked.epochs = epochs

    @property
    def chance(self) -> float:
        """Two standard errors of a difference of mean accuracies in the middle, by the number of images validated."""
        return 2 * math.sqrt(2 * 0.25 / (self._validated * self._asked.seeds))

    def visiontrain(self, seed: int) -> Result:
        """Through visiontrain, with its defaults."""
        begin = time.perf_counter()
        run = self._session.start(
            self._data,
            model=self._asked.model,
            weights="scratch",
            epochs=self._asked.epochs,
            batch_size=self._asked.batch_size,
            image_size=self._asked.image_size,
            device="cpu",
            seed=seed,
        ).wait()
        taken = time.perf_counter() - begin
        self._rate = max(row["learning_rate"] for row in run.history)
        self._validated = run.record.data.splits["val"]
        return Result(
            [row["accuracy"] for row in run.history], [row["images_per_second"] for row in run.history], taken
        )

    def timm(self, seed: int, changed: dict[str, Any]) -> Result:
        """With timm's API."""
        settings = {
            **DEFAULTS,
            "lr": DEFAULTS["lr_base"] * self._asked.batch_size / 256,
            "data": str(self._data),
            "output": tempfile.mkdtemp(dir=self._folder),
            "seed": seed,
            **{name: getattr(self._asked, name) for name in ("model", "epochs", "batch_size", "image_size")},
            **changed,
        }
        begin = time.perf_counter()
        done = subprocess.run(
            [str(self._python), "-I", str(INSIDE), json.dumps(settings)],
            check=True, stdout=subprocess.PIPE, text=True, env=worker_variables(),
        )  # fmt: skip
        taken = time.perf_counter() - begin
        return Result(**json.loads(done.stdout.splitlines()[-1]), seconds=taken)

    def alike(self) -> dict[str, Any]:
        """What makes timm's loop learn as visiontrain's does, whose learning rate is that of its last run."""
        warmup = self._asked.epochs / 10
        return {
            **FAST,
            "opt": "adamw",
            "lr": self._rate,
            "weight_decay": 0.05,
            "sched_on_updates": True,
            "warmup_epochs": round(min(5, warmup)),
            "warmup_prefix": True,
            "min_lr": 0.01 * self._rate,
            "scale": (0.6, 1.0),
            "color_jitter": 0.0,
            "train_interpolation": "",
        }


def main() -> None:
    """Print every result, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with a folder of images by class in train and validation")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--against", nargs="+", choices=["defaults", "fast", "alike"], help="by default all")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="visiontrain-benchmark-") as name:
        data = asked.data.resolve() if asked.data else make_sample("shapes", Path(name, "shapes"))
        trainings = Trainings(Session(), asked, data, Path(name))
        ways: dict[str, Callable[[int], Result]] = {
            "visiontrain": trainings.visiontrain,
            "defaults": lambda seed: trainings.timm(seed, {}),
            "fast": lambda seed: trainings.timm(seed, FAST),
            "alike": lambda seed: trainings.timm(seed, trainings.alike()),
        }
        ways = {way: train for way, train in ways.items() if way in ("visiontrain", *(asked.against or ways))}
        trainings.warm_up()
        found: dict[str, list[Result]] = {way: [] for way in ways}
        for seed in range(asked.seeds):
            for way, train in ways.items():
                found[way].append(train(seed))
                show(way, seed, found[way][-1])
    ours = found.pop("visiontrain")
    allowed = {way: trainings.chance if way == "alike" else 0.0 for way in found}
    finish([good for way, theirs in found.items() for good in against(way, ours, theirs, allowed[way])])


def show(way: str, seed: int, result: Result) -> None:
    """Print a training."""
    print(
        f"{way:12} seed {seed}: accuracy {max(result.accuracy):.4f} best, {result.accuracy[-1]:.4f} last; "
        f"{result.rate:.1f} images/s; {result.seconds:.1f} s",
        flush=True,
    )


def against(way: str, ours: list[Result], theirs: list[Result], allowed: float) -> list[bool]:
    """Print what visiontrain is against one way, and say of each number whether it is not worse.

    Args:
        way: Its name.
        ours: By seed.
        theirs: By seed.
        allowed: By how much accuracy may be lower, from 0 to 1.
    """
    pairs = list(zip(ours, theirs, strict=True))
    best = statistics.mean(max(a.accuracy) - max(b.accuracy) for a, b in pairs)
    last = statistics.mean(a.accuracy[-1] - b.accuracy[-1] for a, b in pairs)
    rate = statistics.median(a.rate / b.rate for a, b in pairs)
    whole = statistics.median(a.seconds / b.seconds for a, b in pairs)
    good = [best >= -allowed, last >= -allowed, rate >= LIMIT]
    print(
        f"against {way}: accuracy {best:+.4f} best, {last:+.4f} last (limit {-allowed:+.4f}); "
        f"{rate:.3f} times the images/s (limit {LIMIT:g}); {whole:.3f} times the time {'ok' if all(good) else 'WORSE'}"
    )
    return good


if __name__ == "__main__":
    main()
