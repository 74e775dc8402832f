"""First weights of Mask2Former: every one is there but the classes'."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from visiontrain.errors import WeightsError
from visiontrain.protocol.messages import Weights

#: Steps that change nothing: what was loaded is what is saved.
STILL = {"epochs": 1, "learning_rate": 1e-12}


def test_a_folder_s_weights_are_there_to_the_last_one(harness, describe):
    """transformers' own Trainer loses 81 of 420 when it goes on from a checkpoint."""
    folder, network = describe()
    _, told = harness.train(options={"weight_decay": 0.0}, **STILL, **harness.given(folder))
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    assert "begun anew" not in told.logged
    saved = harness.state()
    assert {f"network.{name}" for name in network.state_dict()} == set(saved)
    for name, value in network.state_dict().items():
        assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name


@pytest.mark.parametrize("form", ["safetensors", "state dict", "transformers' names of now", "a run"])
def test_a_file_s_weights_are_there_to_the_last_one(harness, describe, tmp_path, form):
    folder, network = describe()
    path = tmp_path / "given.safetensors"
    if form == "safetensors":
        path = folder / "model.safetensors"
    elif form == "state dict":
        path = tmp_path / "given.pth"
        torch.save(load_file(folder / "model.safetensors"), path)
    elif form == "transformers' names of now":
        save_file({name: value.clone() for name, value in network.state_dict().items()}, path)
    else:
        harness.train("first", **STILL, **harness.given(folder))
        path = harness.path("first")
    _, told = harness.train(
        options={"weight_decay": 0.0}, model=str(folder), weights=Weights("file", str(path)), **STILL
    )
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    saved = harness.state()
    for name, value in network.state_dict().items():
        assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name


def test_other_classes_begin_their_own_weights_alone_anew(harness, describe):
    folder, network = describe(labels=("a", "b", "c", "d"))
    _, told = harness.train(options={"weight_decay": 0.0}, **STILL, **harness.given(folder))
    anew = next(line for line in told.logged.splitlines() if "begun anew" in line)
    assert all(name in anew for name in ("class_predictor.bias", "class_predictor.weight", "criterion.empty_weight"))
    assert anew.count(".") == 4
    saved = harness.state()
    for name, value in network.state_dict().items():
        if not name.startswith(("class_predictor.", "criterion.")):
            assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name
    assert saved["network.criterion.empty_weight"].tolist() == pytest.approx([1, 1, 0.1])


@pytest.mark.parametrize("part", ["model.pixel_level_module.encoder.", "model.transformer_module.decoder.layers.1."])
def test_a_missing_weight_is_an_error(harness, describe, part):
    folder, _ = describe()
    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if name.startswith(part))]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="does not fit Mask2FormerForUniversalSegmentation: missing"):
        harness.train(**harness.given(folder))
