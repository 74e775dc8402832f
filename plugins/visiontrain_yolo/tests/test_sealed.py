"""Importing ultralytics reaches nobody, writes nothing and changes nothing, in a process of its own."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, logging, os, sys
events = []
def hear(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.system"):
        events.append([event, repr(arguments)[:200]])
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = str(arguments[0])
        if not path.isdigit() and path != "/dev/null" and "__pycache__" not in path:
            events.append([event, path])
    if event == "os.mkdir":
        events.append([event, str(arguments[0])])
import torch
import PIL.Image
import cv2, polars, scipy  # their own caches are none of ultralytics' doing
before = dict(os.environ)
patched = [(torch, "save"), (torch, "load"), (PIL.Image, "open"), (cv2, "imread"), (cv2, "imwrite"), (sys, "stdout")]
patched = [(owner, name, getattr(owner, name)) for owner, name in patched]
threads = torch.get_num_threads()
sys.addaudithook(hear)
import visiontrain_yolo.trainer, visiontrain_yolo.rtdetr
from ultralytics.utils import ONLINE, SETTINGS, USER_CONFIG_DIR
from ultralytics.utils import AUTOINSTALL, SAFE_LOAD
print(json.dumps({
    "events": events,
    "environment": {k: v for k, v in os.environ.items() if before.get(k) != v and "INDUCTOR" not in k},
    "drawing": [name for name in sys.modules if name.startswith("matplotlib")],
    "gone": [k for k in before if k not in os.environ],
    "patched": [name for owner, name, value in patched if getattr(owner, name) is not value],
    "threads": torch.get_num_threads() == threads,
    "on": [name for name, value in SETTINGS.items() if value is True],
    "online": ONLINE, "install": AUTOINSTALL, "safe": SAFE_LOAD,
    "config": str(USER_CONFIG_DIR), "there": USER_CONFIG_DIR.exists(),
    "level": logging.getLogger("ultralytics").level,
}))
"""


#: Each task is trained and evaluated, its images in a folder with what Ultralytics would read, write or delete.
USE = """
import os, sys
sys.path.insert(0, sys.argv[1])
import pathlib, socket, threading
import conftest, torch
torch.set_num_threads(2)
root = pathlib.Path(sys.argv[2])
data = {
    "boxes": conftest.make_index(root / "boxes", train=8, val=4),
    "classes": conftest.make_classes(root / "classes", train=8, val=4),
}
for folder in ("boxes", "classes"):
    (root / folder / "train0.npy").write_bytes(b"no array at all")
    (root / folder / "val0.npy").write_bytes(b"foreign")
    (root / folder / "settings.json").write_bytes(b"{}")
def state():
    found = (path for folder in ("boxes", "classes") for path in (root / folder).rglob("*"))
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino, path.stat().st_size) for path in found}
before, runs, wrong = state(), root / "runs", []
runs.mkdir()
asked = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind",
    "subprocess.Popen", "os.system", "os.exec",
)
changes = {"os.rename": 1, "os.symlink": 1, "os.link": 1}
changes |= dict.fromkeys(("os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.chmod"), 0)
kept = (f"{runs}/", "/dev/", "/proc/")
def hear(event, arguments):
    within = event.startswith("socket.") and isinstance(arguments[-1], (str, bytes)) and "get" not in event  # a path
    if event in asked and not within:
        wrong.append([event, repr(arguments)[:200]])
        raise RuntimeError(f"{event} is not for a trainer")
    path = None
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = arguments[0]
    elif event in changes:
        path = arguments[changes[event]]
    if isinstance(path, (str, bytes, os.PathLike)) and not os.fsdecode(path).startswith(kept):
        wrong.append([event, os.fsdecode(path)])
sys.addaudithook(hear)
models = {"detect": "yolo26n", "segment": "yolo11n-seg", "pose": "yolo26n-pose", "obb": "yolo11n-obb"}
models["classify"] = "yolo26n-cls"
for task, model in models.items():
    harness = conftest.Harness(data["classes" if task == "classify" else "boxes"], runs)
    harness.train(task, task=task, model=model, epochs=1, options={"workers": 1 if task == "detect" else 0})
    harness.evaluate(task, task=task)
import json
print(json.dumps({
    "wrong": wrong,
    "untouched": state() == before,
    "written": sorted({path.suffix for path in runs.rglob("*") if path.is_file()}),
}))
"""


#: What checks an export, each on a model that gives what it gets.
CHECK = """
import sys, time
wrong = []
def hear(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        wrong.append([event, repr(arguments)[:200]])
sys.addaudithook(hear)
import onnx, torch
from pathlib import Path
from visiontrain.torchkit.exportformats import Onnx, OpenVino, _openvino
shape = ["batch", 3, 4, 4]
values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("images", "found")]
graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["images"], ["found"])], "g", values[:1], values[1:])
onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), "model.onnx")
images = torch.rand(2, 3, 4, 4)
openvino = _openvino()
openvino.save_model(openvino.Core().read_model("model.onnx"), "model.xml")
for format_, name in ((Onnx(), "model.onnx"), (OpenVino(), "model.xml")):
    (found,) = format_.open(Path(name))(images)
    assert torch.equal(found, images)
time.sleep(1)  # for what is done in threads
assert "openvino_telemetry" not in sys.modules
import json
print(json.dumps(wrong))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    variables = {
        "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "ULTRALYTICS_API_KEY": "secret", "PATH": "/bin",
        "PYTHONDONTWRITEBYTECODE": "1",  # in a fresh clone there is none yet
    }  # fmt: skip
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=variables, capture_output=True, text=True, timeout=240, check=True, cwd=folder
    )
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_nothing_is_written_but_a_temporary_folder_that_is_removed(found):
    folder, facts = found
    places = [path for event, path in facts["events"] if event in ("open", "os.mkdir")]
    assert places
    assert all(path.startswith(f"{folder}/tmp/") for path in places), places
    left = [path.name for path in (folder / "tmp").iterdir()]
    assert [name for name in left if not name.startswith("torchinductor_")] == []  # torch's own
    assert list((folder / "home").iterdir()) == []
    assert not facts["there"]


def test_nobody_is_reached_and_nothing_is_started(found):
    _, facts = found
    assert [event for event in facts["events"] if event[0] not in ("open", "os.mkdir")] == []
    assert not facts["online"]
    assert not facts["install"]


def test_no_setting_is_on(found):
    assert found[1]["on"] == []


def test_the_process_stays_as_it_was(found):
    _, facts = found
    assert (facts["environment"], facts["gone"]) == ({}, [])
    assert facts["patched"] == []
    assert facts["threads"]


def test_what_draws_is_neither_loaded_nor_gone(found):
    assert found[1]["drawing"] == []
    assert importlib.metadata.version("matplotlib")


def test_foreign_weights_are_loaded_safely(found):
    assert found[1]["safe"]


def test_trainings_and_evaluations_write_in_their_runs_alone_and_reach_nobody(tmp_path, tmp_path_factory):
    for name in ("home", "data"):
        (tmp_path / name).mkdir()
    variables = {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path_factory.mktemp("t")),  # a short one: sockets of loader processes lie in it
        "PATH": "/bin",
        "OMP_NUM_THREADS": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", USE, str(Path(__file__).parent), str(tmp_path / "data")],
        env=variables, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path / "home",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["wrong"] == []
    assert facts["untouched"]
    assert facts["written"] == [".json", ".png", ".pt", ".svg"]
    assert list((tmp_path / "home").iterdir()) == []


def test_what_runs_exported_models_reports_to_nobody(tmp_path):
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    variables = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "PATH": "/bin"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], env=variables, capture_output=True, text=True, timeout=240, check=False,
        cwd=tmp_path / "work",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert list((tmp_path / "home").rglob("*")) == []
    assert [path.name for path in (tmp_path / "tmp").iterdir() if not path.name.startswith("torchinductor_")] == []
