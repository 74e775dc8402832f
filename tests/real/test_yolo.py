"""Ultralytics' models on real data, of each layout and task: trained, stopped, resumed, evaluated, asked, exported."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

import visiontrain as vt

VISIONTRAIN = str(Path(sys.executable).with_name("visiontrain"))

pytestmark = pytest.mark.timeout(900)


def outlines(real_data, folder):
    """The outlines of coco128_open as a YOLO folder of their own."""
    source = real_data / "coco128_open"
    folder.mkdir()
    (folder / "images").symlink_to(source / "images")
    (folder / "labels").symlink_to(source / "labels-seg")
    (folder / "data.yaml").write_bytes((source / "data-seg.yaml").read_bytes())
    return folder


def check_artifacts(run, heads):
    """Numbers and pictures belong to the best epoch and agree with its metrics."""
    folder = run.run_dir / "artifacts"
    pictures = [f"curves_{head}.svg" for head in heads] if len(heads) > 1 else ["curves.svg"]
    assert {path.name for path in folder.iterdir()} == {
        "confusion_matrix.json", "confusion_matrix.svg", "curves.json", *pictures, "samples.png",
    }  # fmt: skip
    curves = json.loads((folder / "curves.json").read_text())
    assert list(curves["heads"]) == heads
    last = curves["heads"][heads[-1]]
    for name, value in last["average_precision"].items():
        assert value == pytest.approx(run.metrics[f"map50/{name}"], abs=1e-4)
    matrix = json.loads((folder / "confusion_matrix.json").read_text())
    assert matrix["epoch"] == curves["epoch"]
    for picture in folder.glob("*.svg"):
        assert ET.parse(picture).getroot().tag.endswith("svg")
    with Image.open(folder / "samples.png") as sheet:
        assert sheet.width > 800


def check_predictions(run, task, files):
    """What is found lies in the image, and has what the task is about: little and badly, after one epoch."""
    found = run.predict(files, confidence=0.001, progress=False)
    assert [prediction.path for prediction in found] == files
    for prediction in found:
        with Image.open(prediction.path) as image:
            assert (prediction.width, prediction.height) == image.size
        for one in prediction.objects:
            left, top, right, bottom = one.box
            assert 0 <= left <= right <= prediction.width
            assert 0 <= top <= bottom <= prediction.height
            assert (one.mask is not None, bool(one.keypoints), one.quad is not None) == (
                task == "segment", task == "pose", task == "obb",
            )  # fmt: skip


CASES = [
    ("bccd", "detect", "yolo11n"),
    ("coco128_open/data-detect.yaml", "detect", "yolov8n"),
    ("outlines", "segment", "yolo11n-seg"),
    ("coco_open", "segment", "yolo26n-seg"),
    ("coco_open", "pose", "yolo26n-pose"),
    ("icdar15_quads", "obb", "yolo26n-obb"),
]
HEADS = {"detect": ["box"], "segment": ["box", "mask"], "pose": ["box", "pose"], "obb": ["box"]}


@pytest.mark.parametrize(("name", "task", "model"), CASES)
def test_each_layout_is_trained_on_and_used(real_data, tmp_path, name, task, model):
    data = outlines(real_data, tmp_path / "outlines") if name == "outlines" else real_data / name
    source = real_data / ("coco128_open" if name == "outlines" else name.partition("/")[0])
    run = vt.train(data, model=model, task=task, weights="scratch", image_size=64, epochs=1, progress=False)
    assert (run.status, run.record.task, run.record.licence) == ("completed", task, "AGPL-3.0-or-later")
    check_artifacts(run, HEADS[task])
    again = run.evaluate(split="val", progress=False)
    for metric in ("map50", "map50_95", "precision", "recall", "val_loss"):
        assert again.metrics[metric] == pytest.approx(run.metrics[metric], abs=1e-6), metric
    check_artifacts(again, HEADS[task])
    check_predictions(run, task, sorted(source.rglob("*.jpg"))[:3])


def test_photos_are_classified(real_data):
    data = real_data / "clothing10"
    run = vt.train(data, model="yolo26n-cls", weights="scratch", image_size=64, epochs=1, progress=False)
    tested = run.evaluate(progress=False)
    assert tested.record.spec["splits"] == ["test"]
    assert run.export("onnx", images=4, progress=False).difference < 1e-4
    artifacts = {path.name for path in (tested.run_dir / "artifacts").iterdir()}
    assert artifacts == {"confusion_matrix.json", "confusion_matrix.svg"}


def test_a_run_that_is_stopped_goes_on_where_it_was(real_data):
    data = real_data / "coco128_open" / "data-detect.yaml"
    command = [VISIONTRAIN, "train", str(data), "--model", "yolo", "--scratch", "--image-size", "64"]
    command += ["--epochs", "2", "--batch-size", "2", "--json"]
    whole = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            told = json.loads(line)
            if told["type"] == "progress" and told["phase"] == "train" and told["step"] > 1:
                assert {"train_loss", "train_box_loss", "train_cls_loss", "train_l1_loss"} <= set(told["values"])
                running.send_signal(signal.SIGINT)
                break
        stopped = json.loads(running.stdout.read().splitlines()[-1])
    assert stopped["status"] == "stopped"
    run = vt.run(stopped["run_id"]).resume(progress=False)
    assert run.status == "completed"
    events = [json.loads(line) for line in (run.run_dir / "events.jsonl").read_text().splitlines()]
    assert [event["exact"] for event in events if event["type"] == "resumed"] == [True]
    names = ("map50_95", "precision", "val_loss", "train_loss")
    assert {name: run.metrics[name] for name in names} == {name: whole["metrics"][name] for name in names}
