"""What a run reports, refuses and leaves, for each task."""

import contextlib
import json
import math
import shutil
import sqlite3
from itertools import product

import pytest
import torch

from visiontrain.datasets.objects import Skeleton
from visiontrain.errors import DatasetError, SpecError
from visiontrain.protocol.metrics import is_canonical
from visiontrain.protocol.tasks import Task
from visiontrain_yolo.options import YoloOptions

BOXES = ("map50", "map50_95", "precision", "recall")
HEADS = {"detect": (), "segment": ("box", "mask"), "pose": ("box", "pose"), "obb": ()}
MODELS = {"detect": "yolov8n", "segment": "yolo26n-seg", "pose": "yolo26n-pose", "obb": "yolo26n-obb"}
#: What the loss of each of those is made of.
LOSSES = {
    "detect": {"box", "cls", "dfl"},
    "segment": {"box", "cls", "l1", "seg", "sem"},
    "pose": {"box", "cls", "l1", "pose", "kobj", "rle"},
    "obb": {"box", "cls", "l1", "angle"},
}


@pytest.mark.parametrize("task", HEADS)
def test_what_a_run_reports(harness, task):
    result, context = harness.train(task=task, model=MODELS[task])
    assert (result.status, result.epochs) == ("completed", 2.0)
    rows = context.of("metrics")
    assert [(event["epoch"], event["scope"]) for event in rows] == [(1, "epoch"), (2, "epoch")]
    names = {*BOXES, *(f"{name}_{head}" for head in HEADS[task] for name in BOXES)}
    wanted = {"train_loss", "val_loss", "learning_rate", "images_per_second", *names}
    wanted |= {f"{name}/{label}" for name in names for label in ("green", "red")}
    wanted |= {f"{split}_{part}_loss" for split in ("train", "val") for part in LOSSES[task]}
    assert set(rows[0]["values"]) == wanted
    assert all(is_canonical(name, Task(task)) for name in wanted)
    assert all(math.isfinite(value) for event in rows for value in event["values"].values())
    assert all(event["exact"] for event in context.of("checkpoint"))
    assert {event["path"] for event in context.of("checkpoint")} == {"checkpoints/last.pt", "checkpoints/best.pt"}
    matrix = json.loads((harness.folder / "run" / "artifacts" / "confusion_matrix.json").read_text())
    assert matrix["classes"] == ["green", "red", "background"]
    assert sum(map(sum, matrix["matrix"][:2])) == 7  # objects of the validation split
    assert {event["phase"] for event in context.of("progress")} == {"train", "val"}
    told = [set(event["values"]) for event in context.of("progress") if event["phase"] == "train"]
    assert all({"train_loss", *(f"train_{part}_loss" for part in LOSSES[task])} <= names for names in told)
    if task == "detect":  # of a single head the parts are the whole
        for event, split in product(rows, ("train", "val")):
            parts = [event["values"][f"{split}_{part}_loss"] for part in LOSSES[task]]
            assert sum(parts) == pytest.approx(event["values"][f"{split}_loss"], rel=1e-5)
    metadata = harness.best()["metadata"]
    assert (metadata["task"], metadata["model"], metadata["image"]["size"]) == (task, MODELS[task], [64, 64])
    assert metadata["classes"] == ["green", "red"]


@pytest.mark.parametrize(
    ("task", "model", "options"),
    [
        ("pose", "yolo26n-pose", ("pose", "kobj", "rle")),
        ("obb", "yolo26n-obb", ("angle", "box", "cls")),
        ("detect", "yolov8n", ("box", "cls", "dfl")),
    ],
)
def test_a_loss_counts_as_much_as_it_is_told_to(harness, task, model, options):
    """Each part twice as much as it usually does; nothing is learned meanwhile."""
    given = {"task": task, "model": model, "epochs": 1, "learning_rate": 1e-12}
    usual = {"weight_decay": 0.0, "warmup_epochs": 0.0, "ema_decay": 0.0}
    _, once = harness.train("once", options=usual, **given)
    doubled = {name: 2 * getattr(YoloOptions(), name) for name in options}
    _, twice = harness.train("twice", options={**usual, **doubled}, **given)
    for name in options:
        part = f"train_{name}_loss"
        assert twice.rows[0][part] == pytest.approx(2 * once.rows[0][part], rel=1e-3), name


def test_the_sureness_of_keypoints_is_yolo26_s_alone(harness):
    with pytest.raises(SpecError, match="no effect with yolo11n-pose"):
        harness.train(task="pose", model="yolo11n-pose", options={"rle": 0.5})


def test_poses_without_mirrored_keypoints_are_not_mirrored(harness, index, tmp_path):
    database = shutil.copy(index, tmp_path / "index.sqlite")
    with contextlib.closing(sqlite3.connect(database)) as opened:
        skeleton = Skeleton(("first", "last")).to_json()
        opened.execute("UPDATE meta SET value = ? WHERE key = 'skeleton'", (skeleton,))
        opened.commit()
    harness.index = database
    changes = {"task": "pose", "model": "yolo11n-pose", "epochs": 1}
    _, context = harness.train(**changes)
    assert "Images are not mirrored" in context.logged
    with pytest.raises(SpecError, match="flipud"):
        harness.train(options={"flipud": 0.5}, **changes)


def test_objects_are_pasted_where_they_have_outlines(harness):
    for name, options in (("plain", {}), ("pasted", {"copy_paste": 1.0})):
        changes = {"task": "segment", "model": "yolo11n-seg", "options": {"close_mosaic": 0, **options}}
        harness.train(name, epochs=1, **changes)
    one, other = (harness.last(name)["model"]["model.0.conv.weight"] for name in ("plain", "pasted"))
    assert not torch.equal(one, other)
    with pytest.raises(SpecError, match="no effect with the task detect"):
        harness.train(options={"copy_paste": 0.5})


def test_yolo_alone_is_the_smallest_current_one(harness):
    harness.train(model="yolo", epochs=1)
    assert harness.best()["metadata"]["model"] == "yolo26n"


def test_nothing_is_written_beside_checkpoints_and_artifacts(harness):
    harness.train(epochs=1, options={"workers": 1})
    written = {path.relative_to(harness.folder / "run") for path in (harness.folder / "run").rglob("*")}
    assert set(map(str, written)) == {
        "checkpoints", "checkpoints/last.pt", "checkpoints/best.pt", "artifacts", "artifacts/confusion_matrix.json",
        "artifacts/confusion_matrix.svg", "artifacts/curves.json", "artifacts/curves.svg", "artifacts/samples.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 100}, "multiple of 32"),
        ({"model": "yolo26n-seg"}, "is for the task segment"),
        ({"model": "yolo27n"}, "there is no 'yolo27n'"),
        ({"options": {"freeze": "3"}}, "random weights"),
        ({"options": {"freeze": "a"}}, "freeze"),
        ({"options": {"close_mosaic": 1, "mosaic": 0}}, "no effect"),
        ({"options": {"mixup": 0.5}}, "mixup: has no effect with 2 epochs"),
        ({"task": "semantic"}, "not semantic"),
    ],
)
def test_what_is_refused(harness, changes, message):
    with pytest.raises(SpecError, match=message):
        harness.train(**changes)


def test_data_without_validation_is_refused(harness, writer):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(writer.folder / "a.png")
    writer.add("train", "a.png", (64, 64), [])
    harness.index = writer.close()
    with pytest.raises(DatasetError, match="val"):
        harness.train()


def test_an_image_that_can_t_be_read_ends_the_run(harness, make_index, tmp_path):
    harness.index = make_index(tmp_path / "data", train=4, val=2)
    (tmp_path / "data" / "train2.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"train2\.png"):
        harness.train()


def test_rare_classes_count_more(harness):
    harness.train("same", epochs=1)
    harness.train("more", epochs=1, options={"class_weights_power": 1.0})
    one, other = (harness.last(name)["model"]["model.0.conv.weight"] for name in ("same", "more"))
    assert not torch.equal(one, other)


def test_frozen_layers_stay_as_they_are(harness):
    from visiontrain.protocol.messages import Weights

    harness.train("first", epochs=1)
    given = Weights("file", str(harness.path("first")))
    harness.train("second", epochs=1, weights=given, options={"freeze": "2", "ema_decay": 0})
    before, after = harness.best("first")["model"], harness.last("second")["model"]
    for name in ("model.0.conv.weight", "model.1.bn.running_mean"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(before["model.2.cv1.conv.weight"], after["model.2.cv1.conv.weight"])
