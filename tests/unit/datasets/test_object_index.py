"""Data with objects as a whole: identity, splits, tasks, and the index that workers read."""

from __future__ import annotations

import json
import pickle
import sqlite3
import threading

import pytest

from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.progress import IndexProgress
from visiontrain.datasets.tasks import UnservedTaskError
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

YAML = "path: .\ntrain: images\nnames: [cat, dog, cow]\n"


@pytest.fixture
def data(annotated):
    """Thirty images: each has a cat, every fifth a dog as well, and two a cow; the last has nothing."""

    def make(name="data", **changes):
        files = {"data.yaml": YAML}
        for number in range(30):
            rows = ["0 0.5 0.5 0.5 0.5"]
            rows += ["1 0.25 0.25 0.25 0.25"] * (number % 5 == 0) + ["2 0.75 0.75 0.25 0.25"] * (number in (7, 8))
            files[f"images/{number:02}.png"] = (40, 32)
            files[f"labels/{number:02}.txt"] = "\n".join(rows if number < 29 else [])
        return annotated(files | changes, name)

    return make


def test_a_split_that_is_carved_has_some_of_every_class(data, read, home):
    root = data()
    found = index_dataset(root, folder=home)
    assert found.splits == {"train": 24, "val": 6}
    assert found.report.objects == {
        split: sum(of[split] for of in found.report.classes.values()) for split in found.splits
    }
    assert found.report.classes["dog"] == {"train": 5, "val": 1}
    assert found.report.classes["cow"] == {"train": 1, "val": 1}
    assert read(root, seed=1).fingerprint != found.fingerprint


def test_what_changes_the_identity_and_what_does_not(data, read, annotated):
    root = data()
    first = read(root).fingerprint
    assert read(data("copy")).fingerprint == first
    (root / "labels/03.txt").write_text("  0   0.50 0.5 0.5 5e-1 \n")
    assert read(root).fingerprint == first
    seen = {first}
    for text in ("0 0.5 0.5 0.5 0.4", "1 0.5 0.5 0.5 0.5", "0 0.5 0.5 0.5 0.5\n0 0.2 0.2 0.1 0.1", ""):
        (root / "labels/03.txt").write_text(text)
        seen.add(read(root).fingerprint)
    (root / "data.yaml").write_text(YAML.replace("cat", "lion"))
    seen.add(read(root).fingerprint)
    assert len(seen) == 6


def test_the_index_serves_threads_and_other_processes(data, read):
    index = read(data())
    copy = pickle.loads(pickle.dumps(index))
    found = []
    thread = threading.Thread(target=lambda: found.append(copy.image("train", 3)))
    thread.start()
    thread.join()
    assert found == [index.image("train", 3)]
    assert index.objects("train", 99) == ()
    images = list(index.images("val"))
    assert images == [index.image("val", position) for position in range(index.splits["val"])]
    assert {one.label for image in images for one in image.objects} <= {0, 1, 2}


def test_an_image_is_looked_up_without_reading_the_others(data, read):
    index = read(data())
    connection = sqlite3.connect(index.path)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT label FROM objects WHERE split = 'train' AND position = 3 ORDER BY id"
    ).fetchall()
    connection.close()
    assert [step[3] for step in plan] == ["SEARCH objects USING INDEX objects_of_image (split=? AND position=?)"]


def test_an_image_that_can_not_be_read_takes_its_objects_along(data, home):
    root = data()
    (root / "images/00.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"images/00.png: the file is empty"):
        index_dataset(root, folder=home)
    found = index_dataset(root, folder=home, skip_unreadable=True)
    assert sum(found.splits.values()) == 29
    assert sum(found.report.classes["cat"].values()) == 28


def test_the_same_image_with_other_objects_is_told(data, problems):
    root = data()
    (root / "images/01.png").write_bytes((root / "images/00.png").read_bytes())
    assert problems(root)["same-image-two-annotations"].files == ("images/00.png", "images/01.png")
    (root / "images/01.png").write_bytes((root / "images/02.png").read_bytes())
    assert "same-image-two-annotations" not in problems(root)


def test_classes_without_objects_stay_classes(data, home):
    root = data(**{"labels/07.txt": "", "labels/08.txt": ""})
    found = index_dataset(root, folder=home)
    assert found.classes == ("cat", "dog", "cow")
    assert found.report.classes["cow"] == {"train": 0, "val": 0}


def test_a_split_without_objects_is_an_error(annotated, read):
    files = {"data.yaml": "train: images/train\nval: images/val\nnames: [cat]\n"}
    files |= {"images/train/a.png": (9, 9), "images/val/b.png": (9, 9), "labels/train/a.txt": "0 0.5 0.5 0.5 0.5"}
    with pytest.raises(DatasetError, match="the images of val have no objects"):
        read(annotated(files))


def test_one_class_is_enough_to_detect(annotated, read):
    files = {"data.yaml": "train: images\nnames: [cat]\n"}
    files |= {f"images/{n}.png": (20, 20) for n in range(5)} | {
        f"labels/{n}.txt": "0 0.5 0.5 0.5 0.5" for n in range(5)
    }
    assert read(annotated(files)).classes == ("cat",)


def test_the_task_is_chosen_among_what_is_wanted(data, home, annotated):
    root = data()
    assert index_dataset(root, folder=home, among=(Task.classify, Task.detect)).task is Task.detect
    with pytest.raises(
        UnservedTaskError, match="read as yolo, which holds data for detect, not for segment or pose"
    ) as error:
        index_dataset(root, folder=home, among=(Task.segment, Task.pose))
    assert error.value.tasks == (Task.detect,)
    with pytest.raises(UnservedTaskError, match="for detect, segment, pose or obb, not for classify"):
        index_dataset(root, folder=home, among=(Task.classify,))
    files = {"data.yaml": YAML} | {f"images/{n}.png": (20, 20) for n in range(5)}
    outlines = annotated(files | {f"labels/{n}.txt": "0 0.1 0.1 0.9 0.1 0.9 0.9" for n in range(5)}, "outlines")
    assert index_dataset(outlines, folder=home).task is Task.segment
    found = index_dataset(outlines, folder=home, among=(Task.detect, Task.obb))
    assert (found.task, found.tasks) == (Task.detect, (Task.segment, Task.detect))
    assert DatasetIndex(found.path).tasks == ("segment", "detect")


def test_classification_data_has_no_objects(flat, read, home):
    index = read(flat)
    assert (index.has_objects, index.skeleton, index.tasks) == (False, None, ("classify",))
    assert index.image("train", 0).objects == ()
    assert index_dataset(flat, folder=home).report.objects == {}


@pytest.mark.parametrize("layout", ["yolo", "coco", "voc", "lists", "quads"])
def test_a_test_split_alone_is_enough_to_evaluate(annotated, read, layout):
    entry = {"bbox": [1, 1, 9, 9], "category_id": 1, "image_id": 1, "id": 1}
    coco = json.dumps(
        {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [entry], "categories": [{"id": 1, "name": "cat"}]}
    )
    corners = "".join(
        f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), (2, 2, 9, 9), strict=True)
    )
    voc = f"<annotation><object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>"
    files = {
        "yolo": {
            "data.yaml": "test: images/test\nnames: [cat]\n",
            "images/test/a.png": (20, 20),
            "labels/test/a.txt": "0 0.5 0.5 0.5 0.5",
        },
        "coco": {"instances_test.json": coco, "test/a.png": (20, 20)},
        "voc": {"test/a.xml": voc, "test/a.png": (20, 20)},
        "lists": {"Annotations/a.xml": voc, "JPEGImages/a.png": (20, 20), "ImageSets/Main/test.txt": "a\n"},
        "quads": {"test/images/a.png": (20, 20), "test/labelTxt/a.txt": "1 1 9 1 9 9 1 9 cat 0"},
    }
    root = annotated(files[layout])
    assert read(root, for_training=False).splits.keys() == {"test"}
    with pytest.raises(DatasetError, match=r"train|the split val has no readable image"):
        read(root)


def test_progress(data, home):
    told = []
    index_dataset(data(), folder=home, progress=told.append)
    phases = ["scan", "probe", "settle", "write"]
    assert told == sorted(told, key=lambda step: (phases.index(step.phase), step.done))
    assert IndexProgress("settle", 0, 30) in told
    assert IndexProgress("settle", 30, 30) in told
    assert told[-1] == IndexProgress("write", 30, 30)
