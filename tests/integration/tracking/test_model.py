"""An exported model is in MLflow, and `mlflow models serve` serves it where there is no torch."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request

import pytest

from visiontrain.errors import SpecError
from visiontrain.testing import make_sample


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


@pytest.fixture
def classified(tracked, tmp_path):
    """A classifier that timm has trained for a moment, and its export."""
    tracked.use_environment("timm")
    data = make_sample("shapes", tmp_path / "shapes", images_per_class={"train": 4, "val": 2}, image_size=48)
    computed = {"batch_size": 8, "image_size": 64, "device": "cpu"}
    run = tracked.session.train(data, model="resnet18", weights="scratch", epochs=1, progress=False, **computed)
    exported = run.export(progress=False)
    return run, tracked.session.run(exported.run_id), data


def test_an_exported_classifier_is_served_and_says_what_visiontrain_says(tracked, classified, port):
    run, export, data = classified
    tracked.until_sent(export)
    found = tracked.read()
    assert found[export.run_id]["tags"]["mlflow.parentRunId"] == found[run.run_id]["id"]
    assert {"model.onnx", "model.json", "model/MLmodel", "model/requirements.txt"} <= set(found[export.run_id]["files"])
    assert "confusion_matrix.svg" in found[run.run_id]["files"]
    uri = f"runs:/{found[export.run_id]['id']}/model"
    pins = (tracked.home / "tracking").rglob("requirements.txt")
    text = next(pins).read_text(encoding="utf-8")
    assert "torch" not in text
    assert all(f"{name}==" in text for name in ("onnxruntime", "numpy", "pillow", "mlflow"))
    there = subprocess.run(
        [tracked.python, "-I", "-c", "import importlib.util as u; print(u.find_spec('torch'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == "None"
    tracked.launch(
        *("models", "serve", "-m", uri, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
        port=port,
        path="/ping",
        MLFLOW_TRACKING_URI=tracked.store,
    )
    images = sorted(path for path in (data / "val").rglob("*") if path.is_file())[:3]
    assert images
    rows = [{"image": base64.b64encode(path.read_bytes()).decode()} for path in images]
    told = post(port, {"dataframe_records": rows})
    for path, served, own in zip(images, told, run.predict(images, progress=False), strict=True):
        assert served["label"] == own.label, path
        assert served["confidence"] == pytest.approx(
            own.probabilities[own.label], abs=0.02
        )  # visiontrain computes in bfloat16
        assert sum(served["probabilities"].values()) == pytest.approx(1)
    with pytest.raises(pytest.fail.Exception, match="400"):
        post(port, {"dataframe_records": [{"image": base64.b64encode(b"no image").decode()}]})


def test_a_model_is_registered_on_request_and_once(tracked, classified):
    run, export, _ = classified
    tracked.until_sent(export)
    for _ in range(2):
        (sent,) = tracked.session.sync(export.run_id, register="shapes", progress=False)
        assert sent.version == "1"
    with pytest.raises(SpecError, match="no completed export"):
        tracked.session.sync(run.run_id, register="shapes", progress=False)
    tracked.session.sync(run.run_id, checkpoints=True, progress=False)
    assert {"checkpoints/best.pt", "checkpoints/last.pt"} <= set(tracked.read()[run.run_id]["files"])
