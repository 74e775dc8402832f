"""These tests run inside an environment, where torch is; elsewhere they are not collected."""

from __future__ import annotations

import importlib.util
import json
import sqlite3

import pytest

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
if importlib.util.find_spec("torch") is None or importlib.util.find_spec("pycocotools") is None:
    collect_ignore = ["objects"]  # for environments whose lock has it


@pytest.fixture
def make_index(tmp_path):
    """Index files that exist: `make_index({"train": [(path, label), ...]}, classes)`; or tuples, with `multi_label`."""

    def make(splits, classes=("a", "b"), *, multi_label=False):
        from PIL import Image

        from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA, DatasetIndex

        path = tmp_path / "index.sqlite"
        database = sqlite3.connect(path)
        database.executescript(SCHEMA)
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        for split, images in splits.items():
            for position, (file, label) in enumerate(images):
                try:
                    with Image.open(file) as image:
                        size = image.size
                except OSError:
                    size = (1, 1)
                name = json.dumps(str(file.relative_to(tmp_path)))
                one = None if multi_label else label
                database.execute("INSERT INTO images VALUES (?,?,?,?,?,?,?)", (split, position, name, *size, one, b""))
                database.executemany(
                    "INSERT INTO labels VALUES (?,?,?)",
                    [(split, position, each) for each in label] if multi_label else [],
                )
        meta = {"fingerprint": "0", "task": "classify", "format": "folder", "root": json.dumps(str(tmp_path))}
        meta |= {"multi_label": json.dumps(multi_label)}
        meta |= {"classes": json.dumps(classes), "splits": json.dumps({k: len(v) for k, v in splits.items()})}
        database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        database.commit()
        database.close()
        return DatasetIndex(path)

    return make


@pytest.fixture
def make_object_index(tmp_path):
    """Index files that exist: `make_object_index({"train": [(path, [Object, ...]), ...]}, classes)`."""

    def make(splits, classes=("a", "b", "c"), *, task="detect"):
        from PIL import Image, ImageOps

        from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA, DatasetIndex
        from visiontrain.datasets.objects import row_of

        path = tmp_path / "objects.sqlite"
        path.unlink(missing_ok=True)
        database = sqlite3.connect(path)
        database.executescript(SCHEMA)
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        for split, images in splits.items():
            for position, (file, objects) in enumerate(images):
                try:
                    with Image.open(file) as image:
                        size = ImageOps.exif_transpose(image).size
                except OSError:
                    size = (10, 10)
                name = json.dumps(str(file))
                row = (split, position, name, *size, None, b"")
                database.execute("INSERT INTO images VALUES (?,?,?,?,?,?,?)", row)
                database.executemany(
                    "INSERT INTO objects VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?)",
                    [(split, position, each.label, *row_of(each)) for each in objects],
                )
        meta = {"fingerprint": "0", "task": task, "format": "coco", "root": json.dumps(str(tmp_path))}
        meta |= {"has_objects": "true", "classes": json.dumps(classes)}
        meta |= {"splits": json.dumps({k: len(v) for k, v in splits.items()})}
        database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        database.commit()
        database.close()
        return DatasetIndex(path)

    return make


@pytest.fixture
def make_mask_index(tmp_path):
    """Writes images and masks, and their index: `make_mask_index({"train": [(pixels, mask), ...]}, classes)`."""

    def make(splits, classes=("a", "b"), *, ignored=(255,)):
        import numpy as np
        from PIL import Image

        from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA, DatasetIndex

        path = tmp_path / "masks.sqlite"
        path.unlink(missing_ok=True)
        database = sqlite3.connect(path)
        database.executescript(SCHEMA)
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        counts = {}
        for split, images in splits.items():
            counts[split] = [0] * len(classes)
            for position, (pixels, mask) in enumerate(images):
                file, beside = tmp_path / f"{split}{position}.png", tmp_path / f"{split}{position}_mask.png"
                Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(file)
                Image.fromarray(np.asarray(mask)).save(beside)
                row = (split, position, json.dumps(file.name), mask.shape[1], mask.shape[0], None, b"")
                database.execute("INSERT INTO images VALUES (?,?,?,?,?,?,?)", row)
                database.execute("INSERT INTO masks VALUES (?,?,?,?)", (split, position, json.dumps(beside.name), b""))
                for label in range(len(classes)):
                    counts[split][label] += int((mask == label).sum())
        meta = {"fingerprint": "0", "task": "semantic", "format": "mask-folders", "root": json.dumps(str(tmp_path))}
        meta |= {"has_masks": "true", "classes": json.dumps(classes), "class_pixels": json.dumps(counts)}
        meta |= {"mask_values": json.dumps(list(range(len(classes)))), "ignored_values": json.dumps(list(ignored))}
        meta |= {"splits": json.dumps({k: len(v) for k, v in splits.items()})}
        database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        database.commit()
        database.close()
        return DatasetIndex(path)

    return make
