"""Small generated data and a run without a host: these tests run inside the environment."""

from __future__ import annotations

import json
import math
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

import visiontrain.torchkit.loop
from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA
from visiontrain.protocol.inference import EvaluateParams, ExportParams, ImageSource, PredictParams
from visiontrain.protocol.messages import ResumeFrom, TrainParams, Weights
from visiontrain.worker.context import RequestContext, RunContext
from visiontrain_timm.trainer import TimmTrainer

SHAPES = ("circle", "square", "triangle")
COLOURS = {"blue": (40, 40, 230), "green": (30, 200, 40), "red": (230, 30, 30)}


def draw(shape, rng, side):
    background = tuple(rng.randrange(100) for _ in range(3))
    colour = tuple(rng.randrange(156, 256) for _ in range(3))
    image = Image.new("RGB", (side, side + rng.randrange(9)), background)
    pen = ImageDraw.Draw(image)
    size = rng.uniform(0.4, 0.8) * side
    x, y = (rng.uniform(0, side - size) for _ in range(2))
    if shape == "circle":
        pen.ellipse((x, y, x + size, y + size), fill=colour)
    else:
        pen.regular_polygon(
            (x + size / 2, y + size / 2, size / math.sqrt(2)), 4 if shape == "square" else 3, fill=colour
        )
    return image


def make_index(folder: Path, *, train: int, val: int, side: int, classes=SHAPES, uneven=False) -> Path:
    """A data set of shapes and its index; `train` and `val` are images of each class, unless `uneven`."""
    rng = random.Random(1)
    path = folder / "index.sqlite"
    rows, splits = [], {}
    for split, count in (("train", train), ("val", val)):
        splits[split] = count * len(classes)
        for position in range(splits[split]):
            label = 0 if uneven and position % 4 else position % len(classes)
            name = f"{split}/{position}.{'jpg' if position % 2 else 'png'}"
            (folder / split).mkdir(parents=True, exist_ok=True)
            image = draw(SHAPES[label % 3], rng, side)
            image.save(folder / name)
            rows.append((split, position, json.dumps(name), *image.size, label, b""))
    database = sqlite3.connect(path)
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    database.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    meta = {"fingerprint": f"{train}-{val}-{side}", "task": "classify", "format": "folder"}
    meta |= {"root": json.dumps(str(folder)), "classes": json.dumps(classes), "splits": json.dumps(splits)}
    database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    database.commit()
    database.close()
    return path


class Context(RunContext):
    """Tells `interrupt` about every batch; keeps events."""

    def __init__(self, params, interrupt=None):
        self.events = []
        super().__init__(params, self.events.append)
        self._interrupt = interrupt

    def progress(self, phase, **fields):
        super().progress(phase, **fields)
        if self._interrupt is not None and self._interrupt(phase, fields["epoch"], fields["step"]):
            self.request_stop()

    def of(self, kind):
        return [event for event in self.events if event["type"] == kind]

    @property
    def logged(self):
        return "\n".join(event["message"] for event in self.of("log"))

    @property
    def rows(self):
        timeless = (
            {k: v for k, v in event["values"].items() if k != "images_per_second"} for event in self.of("metrics")
        )
        return list(timeless)


class Asked(RequestContext):
    """Keeps events, and stops at a step."""

    def __init__(self, params, stop_at=None):
        self.events = []
        super().__init__(params, self.events.append)
        self._stop_at = stop_at

    def progress(self, phase, **fields):
        super().progress(phase, **fields)
        if fields["step"] == self._stop_at:
            self.request_stop()

    @property
    def logged(self):
        return "\n".join(event["message"] for event in self.events if event["type"] == "log")


class Harness:
    """Trains in this process, as the worker would, and uses what was trained."""

    def __init__(self, index: Path, folder: Path) -> None:
        self.index, self.folder = index, folder

    def params(self, name="run", *, model="test_resnet", epochs=2, resume=False, weights=None, **changes):
        run = self.folder / name
        run.mkdir(exist_ok=True)
        checkpoints = [run / "checkpoints" / file for file in ("last.pt", "previous.pt")]
        found = ResumeFrom(tuple(str(path) for path in checkpoints if path.exists())) if resume else None
        options = {"workers": 0, "precision": "fp32", **changes.pop("options", {})}
        values = {
            "task": "classify", "batch_size": 8, "learning_rate": None, "image_size": 32, "device": "cpu", "seed": 3,
            **changes,
        }  # fmt: skip
        return TrainParams(
            run_id=name, run_dir=str(run), model=model, dataset=str(self.index), epochs=epochs, resume=found,
            weights=weights or Weights("scratch"), options=options, **values,
        )  # fmt: skip

    def train(self, name="run", *, interrupt=None, before=None, **changes):
        context = Context(self.params(name, **changes), interrupt)
        if before is not None:
            before(context)
        return TimmTrainer().train(context), context

    def path(self, name="run", file="best.pt"):
        return self.folder / name / "checkpoints" / file

    def evaluate(self, name="run", *, file="best.pt", splits=("val",), stop_at=None, trainer=None, **changes):
        options = {"workers": 0, "precision": "fp32", **changes.pop("options", {})}
        values = {"task": "classify", "batch_size": 8, "device": "cpu", "dataset": str(self.index), **changes}
        folder = self.folder / f"{name}-evaluated"
        folder.mkdir(exist_ok=True)
        params = EvaluateParams(
            run_id=name, run_dir=str(folder), model="unused", checkpoint=str(self.path(name, file)),
            splits=splits, options=options, **values,
        )  # fmt: skip
        context = Asked(params, stop_at)
        return (trainer or TimmTrainer()).evaluate(context), context

    def predict(self, images, name="run", *, file="best.pt", trainer=None, **changes):
        options = {"workers": 0, "precision": "fp32", **changes.pop("options", {})}
        values = {"task": "classify", "batch_size": 8, "device": "cpu", "confidence": 0.0, **changes}
        sources = tuple(i if isinstance(i, ImageSource) else ImageSource(str(i)) for i in images)
        params = PredictParams(
            model="unused", checkpoint=str(self.path(name, file)), images=sources, options=options, **values
        )
        return (trainer or TimmTrainer()).predict(params)

    def exporting(self, format_, name="run", *, file="best.pt", stop_at=None, **changes):
        values = {"split": "val", "images": 6, "tolerance": 1e-3, "dataset": str(self.index), **changes}
        folder = self.folder / f"{name}-exported"
        folder.mkdir(exist_ok=True)
        params = ExportParams(
            run_id=name, run_dir=str(folder), task="classify", model="unused", checkpoint=str(self.path(name, file)),
            format=format_, **values,
        )  # fmt: skip
        return Asked(params, stop_at)

    def export(self, format_="onnx", *, context=None, **changes):
        context = context or self.exporting(format_, **changes)
        return TimmTrainer().export(context), context

    def last(self, name="run"):
        return torch.load(self.folder / name / "checkpoints" / "last.pt", weights_only=True)

    def best(self, name="run"):
        return torch.load(self.folder / name / "checkpoints" / "best.pt", weights_only=True)


@pytest.fixture(name="make_index")
def make_index_fixture():
    """For tests that want data of their own: test modules can't import this one."""
    return make_index


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """38 training images: four batches of 8 and one of 6; 15 for validation: two batches."""
    return make_index(tmp_path_factory.mktemp("shapes"), train=13, val=5, side=36)


@pytest.fixture(scope="session")
def discs(tmp_path_factory):
    """Discs of any of three colours on grey: 96 images to train on, 36 for validation; some with none."""
    folder = tmp_path_factory.mktemp("discs")
    rng = random.Random(5)
    database = sqlite3.connect(folder / "index.sqlite")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    splits = {"train": 96, "val": 36}
    for split, count in splits.items():
        for position in range(count):
            image = Image.new("RGB", (40, 40), tuple([rng.randrange(60, 160)] * 3))
            pen = ImageDraw.Draw(image)
            for label, colour in enumerate(COLOURS.values()):
                if rng.random() < 0.4:
                    x, y = rng.randrange(26), rng.randrange(26)
                    pen.ellipse((x, y, x + 13, y + 13), fill=colour)
                    database.execute("INSERT INTO labels VALUES (?, ?, ?)", (split, position, label))
            image.save(folder / f"{split}{position}.png")
            row = (split, position, json.dumps(f"{split}{position}.png"), 40, 40, None, b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    meta = {"fingerprint": "discs", "task": "classify", "format": "label-file", "root": json.dumps(str(folder))}
    meta |= {"classes": json.dumps(list(COLOURS)), "splits": json.dumps(splits), "multi_label": "true"}
    database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    database.commit()
    database.close()
    return folder / "index.sqlite"


@pytest.fixture(scope="session")
def checkpoints(index, tmp_path_factory):
    """Of a run of three epochs."""
    once = Harness(index, tmp_path_factory.mktemp("trained"))
    once.train(epochs=3, learning_rate=3e-3)
    return once.path().parent


@pytest.fixture
def trained(harness, checkpoints):
    """For tests that use a run without changing it, or change their own copy."""
    shutil.copytree(checkpoints, harness.path().parent)
    return harness


@pytest.fixture
def harness(index, tmp_path, monkeypatch):
    monkeypatch.setattr(visiontrain.torchkit.loop, "LOOK_SECONDS", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield Harness(index, tmp_path)
    torch.set_num_threads(before)
