"""Exports: each gives what the model gives, says how it is used, and is not kept where it does not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import ExportError
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.exportformats import FORMATS, TorchScript
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.transforms import EvalTransform
from visiontrain_yolo.classifying import class_image_config
from visiontrain_yolo.comparing import difference_of
from visiontrain_yolo.evaluation import select
from visiontrain_yolo.exporting import DetectorExport
from visiontrain_yolo.finding import objects_of
from visiontrain_yolo.letterbox import Letterbox
from visiontrain_yolo.options import YoloOptions

EXAMPLE = Path(__file__).parents[3] / "examples" / "detect_with_onnxruntime.py"

#: Numbers of an output after the batch, at 64 px: 84 places, or 20 rows.
PLACES, ROWS = 84, 20
CASES = [
    ("detect", "yolo12n", True, {"boxes": [PLACES, 4], "scores": [PLACES, 2]}),
    ("detect", "yolo26n", False, {"boxes": [ROWS, 4], "scores": [ROWS], "labels": [ROWS]}),
    (
        "segment", "yolo11n-seg", True,
        {"boxes": [PLACES, 4], "scores": [PLACES, 2], "coefficients": [PLACES, 32], "prototypes": [32, 16, 16]},
    ),
    ("pose", "yolo26n-pose", True, {"boxes": [PLACES, 4], "scores": [PLACES, 2], "keypoints": [PLACES, 2, 3]}),
    ("obb", "yolo26n-obb", False, {"boxes": [ROWS, 5], "scores": [ROWS], "labels": [ROWS]}),
]  # fmt: skip


def left(context):
    return sorted(path.name for path in context.artifacts_dir.rglob("*"))


@pytest.mark.parametrize(("task", "model", "nms", "outputs"), CASES)
def test_torchscript(harness, task, model, nms, outputs):
    harness.untrained(task, model)
    options = {"nms": nms, "max_det": ROWS}
    result, context = harness.export("torchscript", task=task, options=options)
    assert result.metrics["export_difference"] < 1e-4
    told = json.loads((context.artifacts_dir / "model.json").read_text())
    assert told["input"] == {"name": "images", "type": "float32", "shape": ["batch", 3, 64, 64]}
    assert {output["name"]: output["shape"] for output in told["outputs"]} == {
        name: ["batch", *shape] for name, shape in outputs.items()
    }
    assert (told["suppression"] is None) == (not nms)
    assert set(told["check"]["differences"]) == {"scores", "boxes"} | {
        "segment": {"masks"}, "pose": {"keypoints"}
    }.get(task, set())  # fmt: skip
    assert ("skeleton" in told) == (task == "pose")
    assert told["check"]["batch_sizes"] == [1, 3]
    assert "of scores" in context.logged


def test_onnx_and_the_example_that_uses_it(harness, tmp_path):
    harness.untrained("detect", "yolo11n")
    result, context = harness.export("onnx")
    assert left(context) == ["model.json", "model.onnx"]
    told = json.loads((context.artifacts_dir / "model.json").read_text())
    assert told["check"]["largest_difference"] == result.metrics["export_difference"] < 1e-4
    assert set(told["versions"]) == {
        "visiontrain", "ultralytics-opencv-headless", "torch", "onnx", "onnxscript", "onnxruntime"
    }  # fmt: skip
    paths = [image.path for image in DatasetIndex(harness.index).images("val")]
    with Image.open(paths[1]) as image:
        photo = image.convert("RGB").resize((201, 133))
    exif = Image.Exif()
    exif[0x0112] = 8
    photo.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    photo.convert("RGBA").save(tmp_path / "clear.png")
    paths += [str(tmp_path / "turned.jpg"), str(tmp_path / "clear.png")]
    # The environment's own interpreter: these tests' one also sees visiontrain.
    python = str(Path(onnxruntime.__file__).parents[4] / "bin" / "python")
    command = [python, "-I", str(EXAMPLE), str(context.artifacts_dir), *paths]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) > 5
    export = DetectorExport(str(harness.path()), "detect", YoloOptions())
    box = Letterbox(64, 32, stretch=False, square=True)
    for path in paths:
        with torch.inference_mode():
            boxes, scores = export.reference(export.read([path]))
        centres = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], dim=2)
        (rows,) = select(
            torch.cat([centres, scores], dim=2).transpose(1, 2), classes=2, confidence=0.25, iou=0.7, max_det=300,
            rotated=False, end_to_end=False, every_class=False,
        )  # fmt: skip
        wanted = objects_of(Task.detect, rows, box.placement(*read_rgb(path).size), prototypes=None, ratio=1)
        found = [line for line in lines if line[0] == path]
        assert [line[1] for line in found] == [("green", "red")[each.label] for each in wanted]
        for line, each in zip(found, wanted, strict=True):
            assert float(line[2]) == pytest.approx(each.score, abs=0.02)
            assert [float(side) for side in line[3:]] == pytest.approx(each.box, abs=1.5)


def test_openvino_says_what_it_is_and_tells_nobody(harness, monkeypatch, tmp_path, capfd):
    harness.untrained("segment", "yolo26n-seg")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    result, context = harness.export("openvino", task="segment", options={"nms": False, "max_det": ROWS})
    assert result.metrics["export_difference"] < 1e-4
    assert left(context) == ["model.bin", "model.json", "model.xml"]
    assert next(event["path"] for event in context.of("artifact")) == "artifacts/model.xml"
    assert "openvino_telemetry" not in sys.modules
    openvino = sys.modules["openvino"]  # imported here, it would report
    model = openvino.Core().read_model(context.artifacts_dir / "model.xml")
    assert json.loads(model.get_rt_info(["visiontrain", "classes"]).astype(str)) == ["green", "red"]
    names = ["boxes", "scores", "labels", "coefficients", "prototypes"]
    assert [output.get_any_name() for output in model.outputs] == names
    found = openvino.Core().compile_model(model, "CPU")(np.zeros((5, 3, 64, 64), dtype=np.float32))
    assert [len(found[name]) for name in names] == [5] * 5
    assert found["labels"].dtype == np.int64
    assert list(elsewhere.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_classifier_goes_as_every_other_one(harness, colours):
    harness.index = colours
    harness.untrained("classify", "yolo11n-cls")
    result, context = harness.export("torchscript", task="classify")
    assert result.metrics["export_difference"] < 1e-6
    told = json.loads((context.artifacts_dir / "model.json").read_text())
    assert told["output"] == {
        "name": "probabilities", "type": "float32", "shape": ["batch", 2], "activation": "softmax"
    }  # fmt: skip
    with pytest.warns(FutureWarning, match="deprecated"):
        model = torch.jit.load(context.artifacts_dir / "model.pt")
    path = next(iter(DatasetIndex(colours).images("val"))).path
    (prediction,) = harness.predict([path], task="classify").predictions
    pixels = torch.from_numpy(EvalTransform(class_image_config(64))(read_rgb(path)).copy())
    with torch.no_grad():
        found = model(pixels.permute(2, 0, 1)[None].float() / 255)[0].tolist()
    assert found == pytest.approx(prediction.classify.probabilities, abs=1e-5)


class Wrong(TorchScript):
    """Runs something else than what was written."""

    def __init__(self, change):
        self._change = change

    def open(self, path):
        run = super().open(path)
        return lambda images: self._change(*run(images))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda boxes, scores: (boxes, scores + 0.01), r"gives other scores than the model: they differ by 0.01 for"),
        (lambda boxes, scores: (boxes + 0.5, scores), "gives other boxes than the model: they differ by"),
        (lambda boxes, scores: (boxes * float("nan"), scores), "the boxes of .* are not numbers"),
        (lambda boxes, scores: (boxes[:, 1:], scores), r"gives \[3, 83, 4\] for 3 images at once, not \[3, 84, 4\]"),
    ],
)
def test_what_gives_something_else_is_not_kept(harness, monkeypatch, change, words):
    harness.untrained("detect", "yolov8n")
    monkeypatch.setitem(FORMATS, "torchscript", Wrong(change))
    with pytest.raises(ExportError, match=words):
        harness.export("torchscript")
    assert list((harness.folder / "run-exported").rglob("*.*")) == []


def test_what_can_not_be_asked_for(harness):
    harness.untrained("detect", "yolov8n")
    with pytest.raises(ExportError, match="no export format 'coreml'") as caught:
        harness.export("coreml")
    assert caught.value.instruction == "There is onnx, torchscript, openvino."


def outputs_of(task, count=6):
    """Of one image."""
    generator = torch.Generator().manual_seed(2)
    first = torch.rand(count, 2, generator=generator) * 40
    boxes = torch.cat([first, first + 5 + torch.rand(count, 2, generator=generator) * 15], dim=1)
    scores = torch.linspace(0.9, 0.3, count)
    if task is Task.obb:
        boxes = torch.cat([boxes, torch.rand(count, 1, generator=generator)], dim=1)
    return {"boxes": boxes, "scores": scores, "labels": torch.arange(count) % 2}


def differs(task, one, other):
    return difference_of(task, list(one), list(one.values()), list(other.values()))


@pytest.mark.parametrize("task", [Task.detect, Task.obb])
def test_rows_in_another_order_are_the_same(task):
    one = outputs_of(task)
    one["scores"] = torch.full((6,), 0.5)
    one["scores"][-1] = 0.0
    turned = {name: torch.cat([value[:-1].flip(0), value[-1:]]) for name, value in one.items()}
    assert differs(task, one, turned) == {"scores": 0.0, "boxes": pytest.approx(0, abs=1e-7)}
    moved = {**turned, "boxes": turned["boxes"] + torch.tensor([1.0] + [0.0] * (turned["boxes"].shape[1] - 1))}
    assert differs(task, one, moved)["boxes"] > 0.03


def test_boxes_differ_by_what_they_do_not_share():
    one = {"boxes": torch.tensor([[10.0, 10, 30, 30], [5, 5, 5, 5]]), "scores": torch.tensor([[0.9], [0.5]])}
    half = {**one, "boxes": torch.tensor([[10.0, 10, 30, 20], [5, 5, 5, 5.0001]])}
    assert differs(Task.detect, one, half) == {"scores": 0.0, "boxes": pytest.approx(0.5)}
    unsure = {**one, "scores": torch.tensor([[0.0005], [0.0001]])}
    assert differs(Task.detect, unsure, {**unsure, "boxes": half["boxes"]})["boxes"] == pytest.approx(0.5)
    others = {"boxes": torch.tensor([[0.0, 0, 9, 9]] * 10), "scores": torch.full((10, 1), 0.0007)}
    among = [{name: torch.cat([each[name], others[name]]) for name in one} for each in (unsure, {**unsure, **half})]
    among[1]["scores"] = among[0]["scores"]
    assert differs(Task.detect, *among)["boxes"] == 0
