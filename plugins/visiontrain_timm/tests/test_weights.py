"""First weights: scratch, files, and published ones that can't be had here."""

import argparse
import json
import os
import pickle
import shutil

import pytest
import timm
import torch
from safetensors.torch import save_file

from visiontrain.errors import WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain.torchkit import hub
from visiontrain_timm.build import _create
from visiontrain_timm.weights import load_weights

ABC = ("a", "b", "c")


def model(classes=3, name="test_resnet"):
    torch.manual_seed(classes)
    return timm.create_model(name, num_classes=classes)


def load(path, classes=ABC, name="test_resnet"):
    said = []
    target = timm.create_model(name, num_classes=len(classes))
    load_weights(target, path, classes=classes, log=said.append)
    return target, "\n".join(said)


def same(left, right, but=()):
    return all(torch.equal(v, right.state_dict()[k]) for k, v in left.state_dict().items() if k not in but)


@pytest.mark.parametrize("form", ["safetensors", "plain", "nested", "parallel"])
def test_files_of_the_same_classes(tmp_path, form):
    source = model()
    state = source.state_dict()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form == "parallel":
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, path)
    else:
        torch.save(state if form == "plain" else {"state_dict": state, "epoch": 3}, path)
    loaded, said = load(path)
    assert same(source, loaded)
    assert f"Loaded {len(state)} of {len(state)} weights" in said
    assert "Not loaded" not in said


def test_other_number_of_classes_begins_the_head_anew(tmp_path):
    source = model(7)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    loaded, said = load(tmp_path / "w.pth")
    assert same(source, loaded, but=("fc.weight", "fc.bias"))
    assert "Not loaded, and begun anew: fc.weight, fc.bias (the file's classes are others)" in said


def test_a_file_without_a_head(tmp_path):
    state = {k: v for k, v in model().state_dict().items() if not k.startswith("fc.")}
    torch.save(state, tmp_path / "w.pth")
    _, said = load(tmp_path / "w.pth")
    assert "fc.weight, fc.bias (the file has none)" in said


def test_a_missing_backbone_weight_is_an_error(tmp_path):
    state = model().state_dict()
    del state["conv1.0.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"1 weights missing: conv1\.0\.weight"):
        load(tmp_path / "w.pth")


def test_another_model_is_an_error(tmp_path):
    torch.save(model(name="test_vit").state_dict(), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="does not fit the model"):
        load(tmp_path / "w.pth")


def test_surplus_is_said(tmp_path):
    torch.save({**model().state_dict(), "extra": torch.zeros(1)}, tmp_path / "w.pth")
    assert "of no use to this model: extra" in load(tmp_path / "w.pth")[1]


def test_another_image_size_is_converted(tmp_path):
    torch.save(timm.create_model("test_vit", num_classes=3, img_size=96).state_dict(), tmp_path / "w.pth")
    loaded, _ = load(tmp_path / "w.pth", name="test_vit")
    assert loaded.pos_embed.shape[1] == (160 // 16) ** 2 + 1


class Exploit:
    """What runs code when a file is read without care: it leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.ckpt", "w.safetensors"])
@pytest.mark.parametrize("form", ["zip", "legacy", *(f"pickle {protocol}" for protocol in range(6))])
def test_code_in_a_file_is_not_run(tmp_path, form, name):
    mark, path = tmp_path / "mark", tmp_path / name
    content = {"state_dict": model().state_dict(), "args": Exploit(mark)}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(content["args"], protocol=int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError) as caught:
        load(path)
    assert not mark.exists()
    assert "A safetensors file, a torch state dict" in caught.value.instruction
    # Torch's own advice is to try again without care.
    assert "weights_only" not in str(caught.value)
    if form in ("zip", "legacy") and path.suffix != ".safetensors":
        assert "would run code" in caught.value.reason
        assert "mkdir" in caught.value.reason


def test_what_training_scripts_leave_beside_the_weights_is_named(tmp_path):
    torch.save({"state_dict": model().state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"would run code \(argparse\.Namespace\)"):
        load(tmp_path / "w.pth")


@pytest.mark.parametrize(("name", "data"), [("w.pth", b"x"), ("w.safetensors", b"x"), ("w.pth", b"")])
def test_what_is_no_weights_is_an_error(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(WeightsError, match="can't be read"):
        load(tmp_path / name)


def test_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="there is no file"):
        load(tmp_path / "absent.pth")


def test_tensors_by_no_name(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds no weights by name"):
        load(tmp_path / "w.pth")


@pytest.mark.parametrize("kind", ["best", "last"])
def test_our_own_checkpoints(harness, kind):
    harness.train("first", epochs=1)
    path = harness.folder / "first" / "checkpoints" / f"{kind}.pt"
    _, context = harness.train("second", epochs=1, weights=Weights("file", str(path)))
    assert "Not loaded" not in context.logged
    assert "adamw's default for trained weights" in context.logged


def test_the_average_is_what_our_last_checkpoint_gives(harness):
    harness.train(epochs=1, options={"ema_decay": 0.9})
    loaded, _ = load(harness.path(file="last.pt"), classes=("circle", "square", "triangle"))
    last = harness.last()
    assert not torch.equal(last["updates"]["average"]["fc.weight"], last["model"]["fc.weight"])
    assert torch.equal(loaded.state_dict()["fc.weight"], last["updates"]["average"]["fc.weight"])


def test_our_own_checkpoint_of_other_classes(harness, make_index, tmp_path_factory):
    """As many classes, but others: their scores would be read under wrong names."""
    harness.train("first", epochs=1)
    path = harness.folder / "first" / "checkpoints" / "best.pt"
    harness.index = make_index(tmp_path_factory.mktemp("other"), train=4, val=2, side=36, classes=("x", "y", "z"))
    _, context = harness.train("second", epochs=1, weights=Weights("file", str(path)))
    assert "begun anew: fc.weight, fc.bias (the file's classes are others)" in context.logged


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """A hub that does not answer, and an empty cache."""

    def fail(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub, "get_hf_file_metadata", fail)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)


@pytest.mark.usefixtures("unreachable")
def test_published_weights_that_cannot_be_fetched(harness):
    with pytest.raises(WeightsError, match=r"timm/resnet18.a1_in1k can't be fetched: no route") as caught:
        harness.train(model="resnet18", weights=Weights("pretrained"))
    assert "--scratch" in caught.value.instruction
    assert "--weights PATH" in caught.value.instruction


def test_no_weights_are_published(harness):
    name = next(name for name in timm.list_models() if not timm.is_model_pretrained(name))
    with pytest.raises(WeightsError, match=f"no pretrained weights are published for {name}"):
        harness.train(model=name, weights=Weights("pretrained"))


def test_a_full_disk_is_not_an_image_size(monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(WeightsError, match=r"can't be had: .*No space left"):
        _create("vit_tiny_patch16_224", 192, pretrained=True, arguments={})


def test_a_download_is_announced(monkeypatch):
    class Metadata:
        size = 46_800_000

    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(hub, "get_hf_file_metadata", lambda url: Metadata)
    said = hub.describe_weights("timm/resnet18.a1_in1k", None, "apache-2.0")
    assert "timm/resnet18.a1_in1k/model.safetensors" in said
    assert "47 MB" in said
    assert "licence apache-2.0" in said


def test_a_cached_file_needs_no_network(monkeypatch):
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: "/somewhere")
    assert "local cache" in hub.describe_weights("timm/resnet18.a1_in1k", None, None)


@pytest.mark.parametrize(("before", "offline"), [("", False), ("0", False), ("1", True), ("yes", True)])
def test_the_network_is_closed_but_when_asked(monkeypatch, before, offline):
    monkeypatch.setattr(hub, "_OFFLINE_BEFORE", before)
    assert hub.constants.is_offline_mode()
    with hub.network():
        assert hub.constants.is_offline_mode() is offline
    assert hub.constants.is_offline_mode()


def test_resuming_fetches_nothing(harness, monkeypatch):
    monkeypatch.setattr("visiontrain_timm.build.describe_weights", lambda *_: "announced")
    create = timm.create_model
    asked = []

    def offline(name, *, pretrained, **arguments):
        asked.append(pretrained)
        return create(name, pretrained=False, **arguments)

    monkeypatch.setattr(timm, "create_model", offline)
    harness.train(epochs=1, weights=Weights("pretrained"))
    harness.train(epochs=2, weights=Weights("pretrained"), resume=True)
    assert asked == [True, False]


@pytest.fixture
def described(tmp_path):
    """A model as timm keeps it in a folder: its architecture with arguments of its own, and weights."""
    folder = tmp_path / "described"
    folder.mkdir()
    model = timm.create_model("test_vit", num_classes=7, img_size=48, init_values=0.1)
    save_file(model.state_dict(), folder / "model.safetensors")
    image = {"input_size": [3, 48, 48], "fixed_input_size": True, "mean": [0.4] * 3, "std": [0.2] * 3}
    content = {"architecture": "test_vit", "num_classes": 7, "model_args": {"init_values": 0.1}}
    cfg = {
        **image,
        "interpolation": "bilinear",
        "crop_pct": 0.9,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
    }
    (folder / "config.json").write_text(json.dumps({**content, "pretrained_cfg": cfg}))
    return folder


def test_a_model_that_is_described_in_a_folder_is_used_from_its_checkpoint_alone(harness, described):
    asked = {"model": f"local-dir:{described}", "image_size": None, "weights": Weights("pretrained")}
    _, whole = harness.train("whole", epochs=2, **asked)
    _, first = harness.train("parts", epochs=2, interrupt=lambda _phase, epoch, step: (epoch, step) == (2, 2), **asked)
    _, second = harness.train("parts", epochs=2, resume=True, **asked)
    assert [*first.rows, *second.rows] == whole.rows
    metadata = harness.best("whole")["metadata"]
    assert (metadata["architecture"], metadata["arguments"]) == ("test_vit", {"init_values": 0.1, "img_size": [48, 48]})
    assert metadata["image"]["size"] == [48, 48]
    shutil.rmtree(described)
    result, _ = harness.evaluate("whole", file="last.pt")
    assert result.metrics["val_loss"] == whole.rows[-1]["val_loss"]
    with pytest.raises(WeightsError, match=r"the description of local-dir:.* can't be had any more"):
        harness.train("parts", epochs=3, resume=True, **asked)
