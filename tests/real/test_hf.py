"""Models of transformers on real data, of each task: trained, stopped, resumed, evaluated, asked, exported, tuned."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

import visiontrain as vt

VISIONTRAIN = str(Path(sys.executable).with_name("visiontrain"))

pytestmark = pytest.mark.timeout(900)


class Case(NamedTuple):
    """A model, what it is trained on, and the numbers that say how good it is."""

    data: str
    task: str
    model: str
    metrics: tuple[str, ...]

    def __str__(self):
        return f"{self.model}-{self.data}"


CASES = [
    Case("clothing10", "classify", "vit-tiny", ("accuracy", "f1_macro")),
    Case("coco_open", "detect", "rtdetr-tiny", ("map50", "map50_95")),
    Case("bccd", "detect", "dfine-tiny", ("map50", "map50_95")),
    Case("coco_open", "segment", "mask2former-tiny", ("map50", "map50_95")),
    Case("coco128_open", "semantic", "segformer-tiny", ("miou", "pixel_accuracy")),
]


def command(real_data, case):
    """Two epochs of small images: not to learn much."""
    arguments = ["train", str(real_data / case.data), "--model", case.model, "--task", case.task, "--scratch"]
    return [VISIONTRAIN, *arguments, "--image-size", "64", "--epochs", "2", "--seed", "5", "--json"]


# One worker of pytest-xdist a case: its tests share a training.
@pytest.fixture(
    scope="module",
    params=[pytest.param(case, marks=pytest.mark.xdist_group(str(case)), id=str(case)) for case in CASES],
)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def whole(real_data, case):
    """The training that nothing stopped."""
    done = subprocess.run(command(real_data, case), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return vt.run(json.loads(done.stdout.splitlines()[-1])["run_id"])


def test_what_was_trained_is_used(real_data, case, whole):
    assert (whole.status, whole.record.task, whole.record.licence) == ("completed", case.task, "Apache-2.0")
    again = whole.evaluate(split="val", progress=False)
    for metric in (*case.metrics, "val_loss"):
        assert again.metrics[metric] == pytest.approx(whole.metrics[metric], abs=1e-6), metric
    files = sorted((real_data / case.data).rglob("*.jpg"))[:3]
    options = {"confidence": 0.001} if case.task in ("detect", "segment") else {}
    found = whole.predict(files, progress=False, **options)
    assert [prediction.path for prediction in found] == files
    for prediction in found:
        with Image.open(prediction.path) as image:
            assert (prediction.width, prediction.height) == image.size
        assert bool(prediction.probabilities) is (case.task == "classify")
        assert (prediction.class_map is not None) is (case.task == "semantic")
        if prediction.class_map is not None:
            assert sum(prediction.class_map.pixels) == prediction.width * prediction.height
        assert all((one.mask is not None) is (case.task == "segment") for one in prediction.objects)
    assert whole.export("onnx", images=4, progress=False).difference <= 1e-4


def test_a_run_that_is_stopped_goes_on_where_it_was(real_data, case, whole):
    with subprocess.Popen(command(real_data, case), stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            told = json.loads(line)
            if told["type"] == "progress" and told["phase"] == "train" and told["epoch"] == 1:
                running.send_signal(signal.SIGINT)
                break
        stopped = json.loads(running.stdout.read().splitlines()[-1])
    assert stopped["status"] == "stopped"
    run = vt.run(stopped["run_id"]).resume(progress=False)
    assert run.status == "completed"
    events = [json.loads(line) for line in (run.run_dir / "events.jsonl").read_text().splitlines()]
    assert [event["exact"] for event in events if event["type"] == "resumed"] == [True]
    names = (*case.metrics, "val_loss", "train_loss")
    assert {name: run.metrics[name] for name in names} == {name: whole.metrics[name] for name in names}


def test_low_rank_additions_are_trained_merged_and_begun_with(real_data):
    """Of weights that were made here: as a person without the hub has them."""
    shared = {"model": "vit-tiny", "image_size": 64, "progress": False, "seed": 5}
    data = real_data / "clothing10"
    first = vt.train(data, weights="scratch", epochs=3, **shared)
    tuned = vt.train(data, weights=first.best_checkpoint, epochs=2, lora_rank=4, **shared)
    assert "LoRA of rank 4" in (tuned.run_dir / "events.jsonl").read_text(encoding="utf-8")
    assert tuned.metrics["val_loss"] < first.metrics["val_loss"]
    assert tuned.export("onnx", images=4, progress=False).difference < 1e-4
    tested = tuned.evaluate(progress=False)
    after = vt.train(data, weights=tuned.best_checkpoint, epochs=1, learning_rate=1e-9, **shared)
    again = after.evaluate(progress=False)
    assert again.metrics["val_loss"] == pytest.approx(tested.metrics["val_loss"], abs=1e-3)
