"""Small generated data and a run without a host: these tests run inside the environment."""

from __future__ import annotations

import json
import random
import re
import sqlite3

import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional

import visiontrain.torchkit.loop
from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA, DatasetIndex
from visiontrain.datasets.objects import COLUMNS, Keypoint, Object, Skeleton, row_of
from visiontrain.testing.worker.inprocess import InProcess
from visiontrain.torchkit.checkpoint import write_checkpoint
from visiontrain_yolo.build import build_model
from visiontrain_yolo.classifying import class_image_config
from visiontrain_yolo.inference import image_config
from visiontrain_yolo.trainer import YoloTrainer

COLOURS = {"green": (40, 200, 60), "red": (220, 40, 40)}
_NAMES = f"split, position, label, {COLUMNS}"
_PLACES = ", ".join("?" * (3 + len(COLUMNS.split(","))))


class Writer:
    """Writes an index by hand: images first drawn by the test, objects as they are given."""

    def __init__(self, folder, classes=tuple(COLOURS)):
        self.folder, self.path, self._classes, self._splits = folder, folder / "index.sqlite", classes, {}
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(self.path)
        self._database.executescript(SCHEMA)
        self._database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

    def add(self, split, name, size, objects):
        position = self._splits[split] = self._splits.get(split, -1) + 1
        row = (split, position, json.dumps(name), *size, None, b"")
        self._database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for found in objects:
            values = (split, position, found.label, *row_of(found))
            self._database.execute(
                f"INSERT INTO objects (split, position, label, {COLUMNS}) VALUES ({_PLACES})", values
            )

    def close(self):
        splits = {name: last + 1 for name, last in self._splits.items()}
        meta = {"fingerprint": str(self.folder), "task": "detect", "format": "test", "has_objects": "true"}
        meta |= {"root": json.dumps(str(self.folder)), "classes": json.dumps(self._classes)}
        meta |= {"splits": json.dumps(splits), "skeleton": Skeleton(("first", "last"), flip=(1, 0)).to_json()}
        self._database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        self._database.commit()
        self._database.close()
        return self.path


def object_at(label, box, **others):
    """An object with all that any task needs: its outline is its box, its keypoints are two of the corners."""
    left, top, right, bottom = box
    corners = (left, top, right, top, right, bottom, left, bottom)
    points = (Keypoint(left, top, 2), Keypoint(right, bottom, 1))
    return Object(label, box, polygons=(corners,), keypoints=points, quad=corners, **others)


def make_index(folder, *, train, val, side=64, classes=tuple(COLOURS)):
    """Discs and squares of two colours on grey, none to three an image, high images and wide ones."""
    writer = Writer(folder, classes)
    for split, count in (("train", train), ("val", val)):
        rng = random.Random(split)
        for number in range(count):
            size = (side, side * 3 // 4) if number % 3 else (side * 3 // 4, side)
            image = Image.new("RGB", size, (rng.randrange(60, 160),) * 3)
            pen, objects = ImageDraw.Draw(image), []
            for _ in range(number % 4):
                label, edge = rng.randrange(2), rng.randrange(side // 6, side // 3)
                x, y = rng.randrange(size[0] - edge), rng.randrange(size[1] - edge)
                draw = pen.ellipse if label else pen.rectangle
                draw((x, y, x + edge - 1, y + edge - 1), fill=list(COLOURS.values())[label])
                name = list(COLOURS)[label]
                label = classes.index(name) if name in classes else label
                objects.append(object_at(label, (x, y, x + edge, y + edge)))
            image.save(folder / f"{split}{number}.png")
            writer.add(split, f"{split}{number}.png", size, objects)
    return writer.close()


def make_classes(folder, *, train, val, side=40):
    """Images of one colour on grey each, two classes."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "index.sqlite")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    splits = {"train": train, "val": val}
    for split, count in splits.items():
        rng = random.Random(split)
        for position in range(count):
            image = Image.new("RGB", (side, side + position % 3), (rng.randrange(60, 160),) * 3)
            x, y = rng.randrange(side // 2), rng.randrange(side // 2)
            ImageDraw.Draw(image).rectangle((x, y, x + 15, y + 15), fill=list(COLOURS.values())[position % 2])
            image.save(folder / f"{split}{position}.png")
            row = (split, position, json.dumps(f"{split}{position}.png"), *image.size, position % 2, b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    meta = {"fingerprint": "colours", "task": "classify", "format": "test", "root": json.dumps(str(folder))}
    meta |= {"classes": json.dumps(list(COLOURS)), "splits": json.dumps(splits)}
    database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    database.commit()
    database.close()
    return folder / "index.sqlite"


class Harness(InProcess):
    """Trains in this process, and looks into checkpoints."""

    object_at = staticmethod(object_at)

    def __init__(self, index, folder):
        defaults = {"task": "detect", "model": "yolo26n", "batch_size": 4, "image_size": 64}
        super().__init__(YoloTrainer, index, folder, **defaults)

    def predict(self, images, name="run", **changes):
        return super().predict(images, name, **{"confidence": 0.25, **changes})

    def exporting(self, format_, name="run", **changes):
        return super().exporting(format_, name, **{"images": 3, "tolerance": 1e-4, **changes})

    def untrained(self, task, model, *, name="run", image_size=64, seed=0):
        """A checkpoint whose weights were never trained; its scores are spread, so that it finds a lot."""
        torch.manual_seed(seed)
        built = build_model(model, tuple(COLOURS), head_classes=2, keypoints=2 if task == "pose" else 0)
        with torch.no_grad():
            for module in built.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1.0  # else nothing of the image reaches the last layer
            blocks = functional.interpolate(torch.rand(16, 3, 4, 4), size=image_size)
            built.train()(blocks)
            for key, value in built.state_dict().items():
                if re.search(r"cv3\.\d\.2\.bias", key):
                    value.fill_(-1)
        config = class_image_config(image_size)
        if task != "classify":
            config = image_config(image_size, stretch=model.startswith("rtdetr"))
        metadata = {
            "framework": "yolo", "task": task, "model": model, "classes": list(COLOURS), "multi_label": False,
            "image": config.to_plain(), "head_classes": 2, "class_weights": None,
            "skeleton": Skeleton(("first", "last"), edges=((0, 1),), flip=(1, 0)).to_json(),
        }  # fmt: skip
        payload = {"kind": "best", "metadata": metadata, "epoch": 1, "metrics": {}, "model": dict(built.state_dict())}
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(self.path(name), payload)

    def last(self, name="run"):
        return torch.load(self.path(name, "last.pt"), weights_only=True)

    def best(self, name="run"):
        return torch.load(self.path(name), weights_only=True)


@pytest.fixture(name="make_index")
def make_index_fixture():
    """For tests that want data of their own: test modules can't import this one."""
    return make_index


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path / "data")


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """14 training images: three batches of 4 and one of 2; 6 for validation: two batches of one shape each."""
    return make_index(tmp_path_factory.mktemp("shapes"), train=14, val=6)


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """14 training images of two classes, 6 for validation."""
    return make_classes(tmp_path_factory.mktemp("colours"), train=14, val=6)


@pytest.fixture(scope="session")
def data(index):
    return DatasetIndex(index)


@pytest.fixture
def harness(index, tmp_path, monkeypatch):
    monkeypatch.setattr(visiontrain.torchkit.loop, "LOOK_SECONDS", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # of several, beside other tests, most time is spent waiting for each other
    yield Harness(index, tmp_path)
    torch.set_num_threads(before)
