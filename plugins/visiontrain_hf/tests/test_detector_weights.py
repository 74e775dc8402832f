"""A detector's first weights: every one of a file or a folder is there but the classes', for each family."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from visiontrain.errors import WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain_hf.kinds import class_modules

KINDS = (
    "rt_detr", "rt_detr_v2", "d_fine", "detr", "conditional_detr", "deformable_detr", "dab-detr", "table-transformer",
    "yolos",
)  # fmt: skip

#: Nothing is learned, and nothing decays.
STILL = {"epochs": 1, "learning_rate": 1e-12}


def of_classes(network):
    heads = class_modules(type(network), network.config)
    assert heads
    return {name for name in network.state_dict() if name.startswith(tuple(f"{head}." for head in heads))}


def assert_same(network, saved, *, without=()):
    for name, value in network.state_dict().items():
        if name not in without and "running" not in name and "num_batches" not in name:
            assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_s_weights_are_there_to_the_last_one(detecting, describe, kind):
    folder, network = describe(kind)
    _, told = detecting.train(model=str(folder), weights=Weights("pretrained"), options={"weight_decay": 0.0}, **STILL)
    saved = torch.load(detecting.path(), weights_only=True)["model"]
    heads = of_classes(network)
    assert_same(network, saved, without=heads)
    assert "begun anew" in told.logged
    assert all(saved[f"network.{name}"].shape != network.state_dict()[name].shape for name in heads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["safetensors", "transformers' names of now"])
def test_a_file_s_weights_are_there_to_the_last_one(detecting, describe, tmp_path, kind, form):
    labels = ("blue", "green", "red")
    folder, network = describe(kind, labels=labels)
    given = folder / "model.safetensors"
    if form != "safetensors":
        given = tmp_path / "now.safetensors"
        save_file({name: value.clone() for name, value in network.state_dict().items()}, given)
    description, _ = describe(kind, seed=1, name="other", labels=labels)
    (description / "model.safetensors").unlink()
    _, told = detecting.train(
        model=str(description), weights=Weights("file", str(given)), options={"weight_decay": 0.0}, **STILL
    )
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    assert_same(network, torch.load(detecting.path(), weights_only=True)["model"])


@pytest.mark.parametrize("kind", ["rt_detr_v2", "detr"])
def test_a_missing_weight_is_an_error(detecting, describe, tmp_path, kind):
    folder, _ = describe(kind)
    state = load_file(folder / "model.safetensors")
    del state[next(name for name in state if "decoder" in name and "q_proj.weight" in name)]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="does not fit"):
        detecting.train(model=str(folder), weights=Weights("file", str(tmp_path / "w.safetensors")))


@pytest.mark.parametrize("model", ["rtdetr-tiny", "rtdetrv2-tiny", "dfine-tiny", "detr-tiny"])
def test_a_run_s_checkpoint_is_begun_with_whole(detecting, model):
    detecting.train("first", model=model, epochs=1)
    _, told = detecting.train(
        "second", model=model, weights=Weights("file", str(detecting.path("first"))), options={"weight_decay": 0.0},
        **STILL,
    )  # fmt: skip
    first = torch.load(detecting.path("first"), weights_only=True)["model"]
    assert f"Loaded {len(first)} of {len(first)} weights" in told.logged
    second = torch.load(detecting.path("second"), weights_only=True)["model"]
    for name, value in first.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(value, second[name], atol=1e-6), name


def test_a_classifier_s_checkpoint_is_refused(detecting, harness):
    harness.train(epochs=1)
    with pytest.raises(WeightsError, match="for the task classify, not detect"):
        detecting.train(weights=Weights("file", str(harness.path())))
