"""Files with weights: what fits is loaded, code in them is not run, and what does not fit is said."""

import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from visiontrain.errors import WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain_yolo.build import build_model, classes_of_head, stride_of
from visiontrain_yolo.weights import load_into, read_weights

COCO = [f"thing {number}" for number in range(78)] + ["Red ", "green"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file as Ultralytics writes them: a whole model, for 80 classes, in half precision."""
    path = tmp_path_factory.mktemp("weights") / "yolo11n.pt"
    model = build_model("yolo11n", COCO, head_classes=80)
    del model.model[-1]._inference  # ours: theirs has none on the instance
    torch.save({"epoch": -1, "model": model.half(), "ema": None, "train_args": {"imgsz": 640}}, path)
    return path


def test_of_a_published_model_all_but_other_classes_is_loaded(published):
    weights = read_weights(published)
    assert (weights.head_classes, weights.classes) == (80, tuple(COCO))
    assert weights.state["model.0.conv.weight"].dtype == torch.float32
    said = []
    model = build_model("yolo11n", ["green", "blue", "red"], head_classes=weights.head_classes)
    load_into(model, "yolo11n", weights, said.append)
    found, last = model.state_dict(), "model.23.cv3.1.2.bias"
    for name, value in weights.state.items():
        if ".cv3." not in name or ".2." not in name.split("cv3")[1]:
            assert torch.equal(found[name], value), name
    assert torch.equal(found[last][[0, 2]], weights.state[last][[79, 78]])
    assert found[last].shape == (3,)
    assert "green, red" in said[0]


def test_a_run_begins_with_a_file_and_is_resumed_without_it(harness, published, tmp_path):
    moved = tmp_path / "gone.pt"
    moved.write_bytes(published.read_bytes())
    changes = {"model": "yolo11n", "weights": Weights("file", str(moved)), "epochs": 2}
    harness.train("straight", **changes)
    harness.train("stopped", interrupt=lambda *seen: seen == ("train", 1, 2), **changes)
    moved.unlink()
    _, context = harness.train("stopped", resume=True, **changes)
    assert harness.best("stopped")["metadata"]["head_classes"] == 80
    one, other = harness.last("straight")["model"], harness.last("stopped")["model"]
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert context.of("resumed")[0]["exact"]


@pytest.mark.parametrize("kind", ["state dict", "safetensors", "ours"])
def test_other_kinds_of_files(harness, tmp_path, kind):
    harness.train("first", epochs=1)
    given = harness.path("first")
    state = harness.best("first")["model"]
    if kind == "safetensors":
        given = tmp_path / "weights.safetensors"
        save_file({name: value.contiguous() for name, value in state.items()}, given)
    elif kind == "state dict":
        given = tmp_path / "weights.pth"
        torch.save(state, given)
    weights = read_weights(given)
    model = build_model("yolo26n", ["green", "red"], head_classes=weights.head_classes)
    said = []
    load_into(model, "yolo26n", weights, said.append)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert "all weights" in said[0]


def test_weights_of_another_model_are_refused(published):
    weights = read_weights(published)
    model = build_model("yolov8n", ["green"], head_classes=80)
    with pytest.raises(WeightsError, match="does not fit yolov8n"):
        load_into(model, "yolov8n", weights, print)


class Evil:
    def __reduce__(self):
        return os.system, ("touch run-by-a-pickle",)


class NotOfUltralytics(torch.nn.Module):
    pass


@pytest.mark.parametrize(
    "content", [{"model": Evil()}, Evil(), {"model": NotOfUltralytics()}], ids=["in it", "all of it", "a class"]
)
def test_code_in_a_file_is_not_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="would run code"):
        read_weights(tmp_path / "evil.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pt"]


def test_what_is_no_file_of_weights(tmp_path):
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{")
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("a", "b")
    for name in ("plain.pt", "text.pt", "cut.safetensors", "other.pt", "list.pt", "zip.pt", "missing.pt"):
        with pytest.raises(WeightsError, match=name):
            read_weights(tmp_path / name)


def test_what_a_model_says_of_itself():
    model = build_model("yolo26n-pose", ["green", "red"], head_classes=2, keypoints=5)
    assert stride_of(model) == 32
    assert classes_of_head(model.state_dict()) == 2
    assert model.names == {0: "green", 1: "red"}
