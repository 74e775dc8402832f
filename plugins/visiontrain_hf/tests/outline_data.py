"""Squares on grey, with their outlines."""

from __future__ import annotations

import json
import random
import sqlite3

from PIL import Image, ImageDraw

from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA
from visiontrain.datasets.objects import COLUMNS, Object, row_of

LABELS = ("green", "red")
COLOURS = ((40, 200, 60), (220, 40, 40))
SIDE = 64


def make_outlines(folder, *, train, val, classes=LABELS):
    """Up to three squares an image; every fifth has none."""
    database = sqlite3.connect(folder / "index.sqlite")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    splits = {"train": train, "val": val}
    for split, count in splits.items():
        rng = random.Random(split)
        for position in range(count):
            image = Image.new("RGB", (SIDE, SIDE + position % 3), (rng.randrange(60, 160),) * 3)
            name = f"{split}{position}.png"
            row = (split, position, json.dumps(name), *image.size, None, b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            for _ in range(0 if position % 5 == 4 else 1 + position % 3):
                x, y, side, label = rng.randrange(40), rng.randrange(40), rng.randrange(14, 24), rng.randrange(2)
                ImageDraw.Draw(image).rectangle((x, y, x + side, y + side), fill=COLOURS[label])
                corners = (x, y, x + side + 1, y, x + side + 1, y + side + 1, x, y + side + 1)
                found = Object(label, (x, y, x + side + 1, y + side + 1), polygons=(tuple(map(float, corners)),))
                database.execute(
                    f"INSERT INTO objects (split, position, label, {COLUMNS}) "
                    f"VALUES ({', '.join('?' * (3 + len(COLUMNS.split(','))))})",
                    (split, position, label, *row_of(found)),
                )
            image.save(folder / name)
    meta = {"fingerprint": f"{train}-{val}", "task": "segment", "format": "test", "has_objects": "true"}
    meta |= {"root": json.dumps(str(folder)), "classes": json.dumps(classes), "splits": json.dumps(splits)}
    database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    database.commit()
    database.close()
    return folder / "index.sqlite"
