"""Importing ultralytics reaches nobody, writes nothing and changes nothing, in a process of its own."""

import importlib.metadata
import json
import subprocess
import sys

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
import visiontrain_yolo.trainer
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


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    variables = {
        "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "ULTRALYTICS_API_KEY": "secret", "PATH": "/bin",
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
