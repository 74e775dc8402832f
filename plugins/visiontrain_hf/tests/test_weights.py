"""First weights: all that fits is there, the rest is said or an error; a test for each family of networks."""

import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from visiontrain.errors import WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain_hf.classifier import head_of
from visiontrain_hf.trainer import Transformers

KINDS = ("vit", "deit", "beit", "dinov2", "swin", "convnext", "resnet")


def same_but_for_the_head(network, state):
    head = head_of(network)
    own = network.state_dict()
    assert own.keys() == {name.removeprefix("network.") for name in state}
    for name, value in own.items():
        if not name.startswith(f"{head}."):
            assert torch.equal(value, state[f"network.{name}"]), name
    return {name: value for name, value in own.items() if name.startswith(f"{head}.")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_s_weights_are_there_to_the_last_one(harness, describe, kind):
    """transformers writes names of older versions into files; its own Trainer then restores a part of them."""
    folder, network = describe(kind)
    built = []
    build = Transformers.build

    def kept(self, *given):
        built.append(build(self, *given))
        state = {name: value.clone() for name, value in built[0].model.state_dict().items()}
        built.append(state)
        return built[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transformers, "build", kept)
        _, told = harness.train(model=str(folder), weights=Weights("pretrained"), epochs=1)
    same_but_for_the_head(network, built[1])
    assert "begun anew" in told.logged
    assert "for the data's classes" in told.logged


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["safetensors", "state dict", "transformers' names of now"])
def test_a_file_s_weights_are_there_to_the_last_one(harness, describe, tmp_path, kind, form):
    folder, network = describe(kind, labels=("blue", "green", "red"))
    given = folder / "model.safetensors"
    if form == "state dict":
        given = tmp_path / "weights.pth"
        torch.save(load_file(folder / "model.safetensors"), given)
    elif form != "safetensors":
        given = tmp_path / "now.safetensors"
        save_file(network.state_dict(), given)
    description, _ = describe(kind, seed=1, name="other", labels=("blue", "green", "red"))
    (description / "model.safetensors").unlink()
    _, told = harness.train(
        model=str(description), weights=Weights("file", str(given)), epochs=1, learning_rate=1e-12,
        options={"weight_decay": 0.0},
    )  # fmt: skip
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    saved = torch.load(harness.path(), weights_only=True)["model"]
    for name, value in network.state_dict().items():
        if value.is_floating_point() and "running" not in name:
            assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name


def test_a_missing_weight_is_an_error(harness, describe, tmp_path):
    folder, _ = describe("vit")
    state = load_file(folder / "model.safetensors")
    gone = next(name for name in state if "query.weight" in name)
    del state[gone]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"does not fit ViTForImageClassification.*layers\.0"):
        harness.train(model=str(folder), weights=Weights("file", str(tmp_path / "w.safetensors")))


def test_weights_of_another_network_are_an_error(harness, describe, tmp_path):
    describe("convnext")
    folder, _ = describe("vit")
    with pytest.raises(WeightsError, match="does not fit"):
        harness.train(
            model=str(folder), weights=Weights("file", str(tmp_path / "convnext" / "model.safetensors"))
        )  # fmt: skip


class Bomb:
    def __reduce__(self):
        return (print, ("run",))


def test_code_in_a_file_is_not_run(harness, tmp_path, capsys):
    (tmp_path / "w.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(WeightsError):
        harness.train(weights=Weights("file", str(tmp_path / "w.pt")))
    assert "run" not in capsys.readouterr().out


def test_a_run_s_checkpoint_is_begun_with_whole(harness):
    harness.train("first", epochs=1)
    _, told = harness.train("second", weights=Weights("file", str(harness.path("first"))), epochs=1)
    assert "begun anew" not in told.logged
    first = torch.load(harness.path("first"), weights_only=True)["model"]
    assert f"Loaded {len(first)} of {len(first)} weights" in told.logged


def test_of_a_preset_none_are_published(harness):
    with pytest.raises(WeightsError, match="no pretrained weights of vit-tiny are published") as caught:
        harness.train(weights=Weights("pretrained"))
    assert "--scratch" in caught.value.instruction


def test_a_hub_that_can_t_be_reached_is_told(harness, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match="google/vit-base-patch16-224"):
        harness.train(model="google/vit-base-patch16-224", weights=Weights("pretrained"))
