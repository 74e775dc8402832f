"""Generated data and their indexes: boxes, one label each, outlines, classes of pixels."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import contextmanager

from PIL import Image, ImageDraw

from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA
from visiontrain.datasets.objects import COLUMNS, Object, row_of

COLOURS = {"blue": (40, 40, 230), "green": (30, 200, 40), "red": (230, 30, 30)}


@contextmanager
def index_of(folder, *, task, classes, splits, **meta):
    """An empty index in a folder, to be filled."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / f"{task}.sqlite")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    yield database
    told = {"fingerprint": f"{splits}-{classes}", "task": task, "format": "test", "root": json.dumps(str(folder))}
    told |= {
        "classes": json.dumps(classes),
        "splits": json.dumps(splits),
        **{k: json.dumps(v) for k, v in meta.items()},
    }
    database.executemany("INSERT INTO meta VALUES (?, ?)", told.items())
    database.commit()
    database.close()


def make_objects(folder, *, train, val, side=64, classes=tuple(COLOURS)):
    """Up to three boxes of one colour each on grey; every fourth image is empty, and they are of several shapes."""
    splits = {"train": train, "val": val}
    with index_of(folder, task="detect", classes=classes, splits=splits, has_objects=True) as database:
        for split, count in splits.items():
            rng = random.Random(split)
            for position in range(count):
                width, height = side + 8 * (position % 3), side
                image = Image.new("RGB", (width, height), (rng.randrange(60, 160),) * 3)
                drawn = []
                for _ in range(position % 4):
                    across, down = rng.randrange(14, 30), rng.randrange(14, 30)
                    x, y, label = (
                        rng.randrange(width - across),
                        rng.randrange(height - down),
                        rng.randrange(len(classes)),
                    )
                    fill = list(COLOURS.values())[label]
                    ImageDraw.Draw(image).rectangle((x, y, x + across - 1, y + down - 1), fill=fill)
                    drawn.append(Object(label, (float(x), float(y), float(x + across), float(y + down))))
                image.save(folder / f"{split}{position}.png")
                row = (split, position, json.dumps(f"{split}{position}.png"), width, height, None, b"")
                database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                database.executemany(
                    "INSERT INTO objects VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?)",
                    [(split, position, each.label, *row_of(each)) for each in drawn],
                )
    return folder / "detect.sqlite"


def make_index(folder, *, train, val, side=36, classes=tuple(COLOURS)):
    """Discs of one colour on grey each."""
    splits = {"train": train, "val": val}
    with index_of(folder, task="classify", classes=classes, splits=splits) as database:
        for split, count in splits.items():
            rng = random.Random(split)
            for position in range(count):
                image = Image.new("RGB", (side, side + position % 3), (rng.randrange(60, 160),) * 3)
                x, y = rng.randrange(side // 2), rng.randrange(side // 2)
                label = position % len(classes)
                ImageDraw.Draw(image).ellipse((x, y, x + 15, y + 15), fill=list(COLOURS.values())[label % 3])
                image.save(folder / f"{split}{position}.png")
                row = (split, position, json.dumps(f"{split}{position}.png"), *image.size, label, b"")
                database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return folder / "classify.sqlite"


def make_outlines(folder, *, train, val, side=64, classes=("green", "red")):
    """Up to three squares on grey with their outlines; every fifth image has none."""
    splits = {"train": train, "val": val}
    with index_of(folder, task="segment", classes=classes, splits=splits, has_objects=True) as database:
        for split, count in splits.items():
            rng = random.Random(split)
            for position in range(count):
                image = Image.new("RGB", (side, side + position % 3), (rng.randrange(60, 160),) * 3)
                name = f"{split}{position}.png"
                row = (split, position, json.dumps(name), *image.size, None, b"")
                database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                for _ in range(0 if position % 5 == 4 else 1 + position % 3):
                    found = _square(image, rng, classes)
                    database.execute(
                        f"INSERT INTO objects (split, position, label, {COLUMNS}) "
                        f"VALUES ({', '.join('?' * (3 + len(COLUMNS.split(','))))})",
                        (split, position, found.label, *row_of(found)),
                    )
                image.save(folder / name)
    return folder / "segment.sqlite"


def _square(image, rng, classes):
    x, y, side, label = rng.randrange(40), rng.randrange(40), rng.randrange(14, 24), rng.randrange(2)
    ImageDraw.Draw(image).rectangle((x, y, x + side, y + side), fill=COLOURS[classes[label]])
    corners = (x, y, x + side + 1, y, x + side + 1, y + side + 1, x, y + side + 1)
    return Object(label, (x, y, x + side + 1, y + side + 1), polygons=(tuple(map(float, corners)),))


def make_masks(folder, *, train, val, side=48, classes=("background", "red", "green")):
    """A disc before grey in each image, with a ring around it that is ignored; its colour is its class."""
    splits, images = {"train": train, "val": val}, []
    pixels = {split: [0] * len(classes) for split in splits}
    for split, count in splits.items():
        rng = random.Random(split)
        for position in range(count):
            size = (side, side + position % 3)
            image, mask = Image.new("RGB", size, (rng.randrange(60, 160),) * 3), Image.new("L", size)
            x, y, label = rng.randrange(side // 2), rng.randrange(side // 2), 1 + position % 2
            around = (x, y, x + side // 2, y + side // 2)
            ImageDraw.Draw(image).ellipse(around, fill=COLOURS[classes[label]])
            ImageDraw.Draw(mask).ellipse(around, fill=label, outline=255)
            image.save(folder / f"{split}{position}.png")
            mask.save(folder / f"{split}{position}_mask.png")
            images.append((split, position, size))
            for value, found in enumerate(mask.histogram()[: len(classes)]):
                pixels[split][value] += found
    told = {"has_masks": True, "mask_values": [0, 1, 2], "ignored_values": [255], "class_pixels": pixels}
    with index_of(folder, task="semantic", classes=classes, splits=splits, **told) as database:
        for split, position, size in images:
            row = (split, position, json.dumps(f"{split}{position}.png"), *size, None, b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            name = json.dumps(f"{split}{position}_mask.png")
            database.execute("INSERT INTO masks VALUES (?, ?, ?, ?)", (split, position, name, b""))
    return folder / "semantic.sqlite"
