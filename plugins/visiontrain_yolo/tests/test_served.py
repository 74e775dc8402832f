"""What MLflow serves exported models with, which has no torch, finds the objects that this plugin finds."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from visiontrain.datasets.index import DatasetIndex
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.mask_runs import mask_pixels
from visiontrain_yolo.evaluation import select
from visiontrain_yolo.exporting import DetectorExport
from visiontrain_yolo.finding import objects_of
from visiontrain_yolo.letterbox import Letterbox
from visiontrain_yolo.options import YoloOptions

SERVED = Path(__file__).parents[2] / "visiontrain_mlflow" / "src"

CONFIDENCE = 0.25


@pytest.fixture
def served(monkeypatch):
    """The package that a logged model carries."""
    monkeypatch.syspath_prepend(str(SERVED))
    from visiontrain_served import images, objects

    yield images, objects
    for name in [name for name in sys.modules if name.startswith("visiontrain_served")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "case",
    [
        ("detect", "yolo26n", True),
        ("segment", "yolo26n-seg", True),
        ("pose", "yolo26n-pose", False),
        ("obb", "yolo26n-obb", True),
    ],
    ids=str,
)
def test_objects_are_the_same(harness, served, tmp_path, case):
    task, model, nms = case
    harness.untrained(task, model)
    _, context = harness.export("onnx", task=task, options={"nms": nms})
    folder = context.artifacts_dir
    told = json.loads((folder / "model.json").read_text())
    session = onnxruntime.InferenceSession(folder / told["file"], providers=["CPUExecutionProvider"])
    options = YoloOptions(nms=nms)
    export = DetectorExport(str(harness.path()), task, options)
    sources = [image.path for image in DatasetIndex(harness.index).images("val")]
    for number, size in enumerate([(90, 50), (40, 64), (64, 64)]):
        path = str(tmp_path / f"{number}.png")
        with Image.open(sources[number % len(sources)]) as image:
            image.convert("RGB").resize(size).save(path)
        images, objects = served
        seen = images.see_whole(images.read_image(0, Path(path).read_bytes()), told["preprocessing"])
        with torch.inference_mode():
            wanted = of_plugin(export, Task(task), export.read([path]), read_rgb(path).size, options)
        outputs = session.run(None, {"images": export.read([path]).numpy()})
        by_name = {output["name"]: values[0] for output, values in zip(told["outputs"], outputs, strict=True)}
        found = objects.find_objects(told, by_name, seen, CONFIDENCE)
        assert len(found) == len(wanted) > 0
        assert seen.pixels == pytest.approx(export.read([path])[0].permute(1, 2, 0).numpy(), abs=0.03)
        # Scores that are the same but for rounding may change places.
        assert [one["confidence"] for one in found] == pytest.approx([other.score for other in wanted], abs=1e-4)
        for other in wanted:
            assert any(is_same(one, other) for one in found), (other, found)


def is_same(one, other):
    numbers = [one["confidence"], *(one[side] for side in ("x1", "y1", "x2", "y2"))]
    expected = [other.score, *other.box]
    for point, keypoint in zip(one.get("keypoints", []), other.keypoints, strict=True):
        numbers += [point["x"], point["y"], point["confidence"]]
        expected += [keypoint.x, keypoint.y, keypoint.score]
    numbers += [side for corner in one.get("corners", []) for side in corner]
    expected += other.quad or ()
    if one["label_id"] != other.label or numbers != pytest.approx(expected, rel=1e-4, abs=0.05):
        return False
    if other.mask is None:
        return "mask" not in one
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(one["mask"]))))
    return ((mask == 255) == mask_pixels(other.mask.height, other.mask.width, other.mask.data.encode())).mean() > 0.99


def of_plugin(export, task, pixels, size, options):
    """What the plugin's own code makes of the same model."""
    found = dict(zip(export.outputs, export.reference(pixels), strict=True))
    boxes, scores = found["boxes"], found["scores"]
    more = [boxes[..., 4:]] if task is Task.obb else []
    more += [found[name].flatten(2) for name in ("coefficients", "keypoints") if name in found]
    if "labels" in found:
        rows = torch.cat([boxes[..., :4], scores[..., None], found["labels"][..., None].float(), *more], dim=2)
    else:
        if task is not Task.obb:
            boxes = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], dim=2)
        rows = torch.cat([boxes[..., :4], scores, *more], dim=2).transpose(1, 2)
    (chosen,) = select(
        rows, classes=len(export.saved.classes), confidence=CONFIDENCE, iou=options.iou, max_det=options.max_det,
        rotated=task is Task.obb, end_to_end="labels" in found, every_class=False,
    )  # fmt: skip
    place = Letterbox(64, 32, stretch=False, square=True).placement(*size)
    prototypes = found["prototypes"][0] if "prototypes" in found else None
    return objects_of(task, chosen, place, prototypes=prototypes, ratio=4.0)
