"""Published weights: said aloud, fetched whole, kept; and what is told where they can't be had."""

import functools
import http.server
import shutil
import threading

import pytest
import torch

import visiontrain_yolo.published as fetching
from visiontrain.errors import WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain_yolo.build import build_model
from visiontrain_yolo.published import fetch_weights

PRETRAINED = Weights("pretrained")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; of files named cut*.pt it sends half of what it announced."""

    def copyfile(self, source, outputfile):
        if "cut" in self.path:
            outputfile.write(source.read()[:1000])
            self.close_connection = True
        else:
            super().copyfile(source, outputfile)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder in which what was fetched is kept."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("YOLO_OFFLINE", raising=False)
    return tmp_path / "torch" / "hub" / "checkpoints" / "ultralytics-v8.4.0"


@pytest.fixture
def release(tmp_path, monkeypatch, kept):
    """A folder whose files are published."""
    folder = tmp_path / "release"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fetching, "ADDRESS", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    server.server_close()


def fetch(model, said=None, progress=lambda *_: None, *, stop=False):
    log = (lambda _text: None) if said is None else said.append
    return fetch_weights(model, log=log, progress=progress, stop_requested=lambda: stop)


def test_a_run_begins_with_them_and_the_next_one_needs_no_network(harness, release, kept, monkeypatch):
    model = build_model("yolo11n", [f"thing {number}" for number in range(80)], head_classes=80)
    del model.model[-1]._inference  # ours: theirs has none on the instance
    torch.save({"model": model.half(), "ema": None}, release / "yolo11n.pt")
    _, context = harness.train("first", model="yolo11n.coco", weights=PRETRAINED, epochs=1)
    megabytes = (release / "yolo11n.pt").stat().st_size / 1e6
    assert f"downloading yolo11n.pt, {megabytes:.0f} MB, licence AGPL-3.0, from http://127.0.0.1" in context.logged
    assert "of its 80 classes none is the data's" in context.logged
    assert [event["step"] for event in context.of("progress") if event["phase"] == "weights"][-1] == int(megabytes)
    assert harness.best("first")["metadata"]["model"] == "yolo11n"
    assert [path.name for path in kept.iterdir()] == ["yolo11n.pt"]
    monkeypatch.setattr(fetching, "ADDRESS", "http://127.0.0.1:1")
    _, again = harness.train("second", model="yolo11n", weights=PRETRAINED, epochs=1)
    assert f"yolo11n.pt of v8.4.0 from {kept}" in again.logged
    assert again.rows == context.rows


def test_without_a_network_the_choices_are_told(kept, monkeypatch):
    monkeypatch.setattr(fetching, "ADDRESS", "http://127.0.0.1:1")
    with pytest.raises(WeightsError, match="Connection refused") as caught:
        fetch("yolo26n")
    assert "--scratch" in caught.value.instruction
    assert "0x" not in str(caught.value)
    assert not list(kept.glob("*"))


def test_a_name_that_does_not_resolve_is_told(kept, monkeypatch):
    monkeypatch.setattr(fetching, "ADDRESS", "https://weights.invalid")
    with pytest.raises(WeightsError, match=r"can't be fetched: .*weights\.invalid") as caught:
        fetch("yolo26n")
    assert "0x" not in str(caught.value)


def test_who_is_offline_is_not_reached(kept, monkeypatch, release):
    (release / "yolo26n.pt").write_bytes(b"there")
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    with pytest.raises(WeightsError, match="YOLO_OFFLINE is set"):
        fetch("yolo26n")


@pytest.mark.parametrize(("name", "reason"), [("missing", "404"), ("cut", "1,000|1000")])
def test_of_what_does_not_come_whole_nothing_is_kept(release, kept, name, reason):
    (release / "cut.pt").write_bytes(bytes(5000))
    with pytest.raises(WeightsError, match=reason):
        fetch(name)
    assert not list(kept.glob("*"))


def test_a_run_is_stopped_while_they_come_and_begins_anew(harness, release, kept):
    (release / "yolo26n.pt").write_bytes(bytes(1_000_000))
    context = None

    def interrupt(phase, _epoch, _step):
        return phase == "weights"

    result, context = harness.train("stopped", weights=PRETRAINED, interrupt=interrupt)
    assert (result.status, result.epochs) == ("stopped", 0.0)
    assert not list(kept.glob("*"))
    assert context.of("checkpoint") == []
    _, resumed = harness.train("stopped", resume=True, epochs=1)
    assert resumed.of("resumed")[0]["step"] == 0


def test_of_some_models_none_are_published(harness, kept):
    with pytest.raises(WeightsError, match="no weights of yolo12n-seg are published"):
        harness.train(task="segment", model="yolo12n-seg", weights=PRETRAINED)


def test_they_are_read_as_files_are(harness, release, kept):
    shutil.copy(__file__, release / "yolo26n.pt")
    with pytest.raises(WeightsError, match="no file that torch writes"):
        harness.train(weights=PRETRAINED)
