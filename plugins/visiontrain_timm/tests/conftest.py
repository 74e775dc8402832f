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
from visiontrain.protocol.messages import Weights
from visiontrain.testing.worker.inprocess import InProcess
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


class Harness(InProcess):
    """Trains in this process, and looks into checkpoints."""

    def __init__(self, index: Path, folder: Path) -> None:
        super().__init__(TimmTrainer, index, folder, model="test_resnet")

    def last(self, name="run"):
        return torch.load(self.path(name, "last.pt"), weights_only=True)

    def best(self, name="run"):
        return torch.load(self.path(name), weights_only=True)


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
    torch.set_num_threads(1)  # of several, beside other tests, most time is spent waiting for each other
    yield Harness(index, tmp_path)
    torch.set_num_threads(before)


@pytest.fixture
def pretrained(harness):
    """The weights of a run of one epoch."""
    harness.train("first", epochs=1)
    return Weights("file", str(harness.path("first")))
