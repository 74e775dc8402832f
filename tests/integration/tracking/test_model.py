"""An exported model is in MLflow, and `mlflow models serve` serves it where there is no torch."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import urllib.error
import urllib.request

import pytest
from PIL import Image, ImageChops

from visiontrain.errors import SpecError
from visiontrain.testing import make_sample

FEW = {"train": 4, "val": 2}

#: Of a model that has learned next to nothing: some objects are told.
CONFIDENCE = 0.001

#: Loads a model as a program does that knows MLflow and no visiontrain, and prints what it says of images.
LOAD = """
import json, sys
from pathlib import Path
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
images = pandas.DataFrame({"image": [Path(name).read_bytes() for name in sys.argv[4:]]})
print(model.predict(images, params=json.loads(sys.argv[3])).to_json(orient="records"))
"""


def post(port, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["predictions"]
    except urllib.error.HTTPError as error:
        pytest.fail(f"{error.code}: {error.read().decode()}")


def rows_of(images):
    return [{"image": base64.b64encode(path.read_bytes()).decode()} for path in images]


class Exported:
    """A model that was trained for a moment and exported, and images of its data."""

    def __init__(self, tracked, folder, framework, sample, model):
        tracked.use_environment(framework)
        self.data = make_sample(sample, folder / sample, images_per_class=FEW, image_size=64, image_format="png")
        # In float32, as exported models compute.
        computed = {"batch_size": 8, "image_size": 64, "device": "cpu", "precision": "fp32"}
        self.run = tracked.session.train(
            self.data, model=model, weights="scratch", epochs=1, progress=False, **computed
        )
        self.export = tracked.session.run(self.run.export(progress=False, images=2).run_id)
        tracked.until_sent(self.export)
        self.tracked = tracked
        self.found = tracked.read()
        self.uri = f"runs:/{self.found[self.export.run_id]['id']}/model"
        self.images = sorted(path for path in (self.data).rglob("*.png") if "val" in path.parts)[:3]
        assert self.images

    def serve(self, uri, port):
        self.tracked.launch(
            *("models", "serve", "-m", uri, "--env-manager", "local"),
            *("--host", "127.0.0.1", "--port", str(port)),
            port=port,
            path="/ping",
            MLFLOW_TRACKING_URI=self.tracked.store,
        )

    def load_and_predict(self, **params):
        command = [self.tracked.python, "-I", "-c", LOAD, self.tracked.store, self.uri, json.dumps(params)]
        done = subprocess.run([*command, *self.images], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)


@pytest.fixture
def exported(tracked, tmp_path):
    return lambda *what: Exported(tracked, tmp_path, *what)


def test_an_exported_classifier_is_registered_once_and_served_and_says_what_visiontrain_says(tracked, exported, port):
    made = exported("timm", "shapes", "resnet18")
    run, export = made.found[made.run.run_id], made.found[made.export.run_id]
    assert export["tags"]["mlflow.parentRunId"] == run["id"]
    assert {"model.onnx", "model.json", "model/MLmodel", "model/requirements.txt"} <= set(export["files"])
    assert "confusion_matrix.svg" in run["files"]
    pins = next((tracked.home / "tracking").rglob("requirements.txt")).read_text(encoding="utf-8")
    assert "torch" not in pins
    assert all(f"{name}==" in pins for name in ("onnxruntime", "numpy", "pillow", "mlflow"))
    there = subprocess.run(
        [tracked.python, "-I", "-c", "import importlib.util as u; print(u.find_spec('torch'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == "None"
    for _ in range(2):
        (sent,) = tracked.session.sync(made.export.run_id, register="shapes", progress=False)
        assert sent.version == "1"
    with pytest.raises(SpecError, match="no completed export"):
        tracked.session.sync(made.run.run_id, register="shapes", progress=False)
    tracked.session.sync(made.run.run_id, checkpoints=True, progress=False)
    assert {"checkpoints/best.pt", "checkpoints/last.pt"} <= set(tracked.read()[made.run.run_id]["files"])
    made.serve("models:/shapes/1", port)
    told = post(port, {"dataframe_records": rows_of(made.images)})
    for path, served, own in zip(made.images, told, made.run.predict(made.images, progress=False), strict=True):
        assert served["label"] == own.label, path
        assert served["probabilities"] == pytest.approx(own.probabilities, abs=1e-3)
    with pytest.raises(pytest.fail.Exception, match="400"):
        post(port, {"dataframe_records": [{"image": base64.b64encode(b"no image").decode()}]})


def test_an_exported_detector_is_served_and_finds_what_visiontrain_finds(exported, port):
    made = exported("hf", "boxes", "detr-tiny")
    made.serve(made.uri, port)
    body = {"dataframe_records": rows_of(made.images), "params": {"confidence": CONFIDENCE}}
    own = made.run.predict(made.images, confidence=CONFIDENCE, progress=False)
    assert check_objects(post(port, body), own) > 5
    assert all(each["objects"] == [] for each in post(port, {**body, "params": {"confidence": 1.0}}))


def test_class_maps_are_those_that_visiontrain_makes(exported):
    made = exported("hf", "regions", "segformer-tiny")
    own = made.run.predict(made.images, progress=False)
    for told, prediction in zip(made.load_and_predict(), own, strict=True):
        assert told["label"] == prediction.label
        assert told["shares"] == pytest.approx(prediction.class_map.shares, abs=0.01)
        assert different(opened(told["class_map"]), prediction.class_map.image()) <= 0.01


def check_objects(told, own):
    """The best objects of each image are the same; gives how many were compared."""
    compared = 0
    for answer, prediction in zip(told, own, strict=True):
        for wanted in prediction.objects[:5]:
            assert any(is_same(found, wanted) for found in answer["objects"]), (wanted, answer["objects"][:5])
            compared += 1
    return compared


def is_same(found, wanted):
    assert set(found) == {"label", "label_id", "confidence", "x1", "y1", "x2", "y2"}
    alike = found["confidence"] == pytest.approx(wanted.score, abs=1e-4) and overlap(found, wanted) >= 0.95
    return alike and (found["label"], found["label_id"]) == (wanted.label, wanted.class_index)


def overlap(found, wanted):
    """Intersection over union of the boxes."""
    one, other = [found[side] for side in ("x1", "y1", "x2", "y2")], wanted.box
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def opened(png):
    return Image.open(io.BytesIO(base64.b64decode(png)))


def different(one, other):
    """The share of pixels that differ."""
    assert one.size == other.size
    difference = ImageChops.difference(one.convert("L"), other.convert("L"))
    return 1 - difference.histogram()[0] / (one.width * one.height)
