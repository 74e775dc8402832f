"""First weights: every one of a folder is there but the classes', for each family that segments by class."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from visiontrain.errors import WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain_hf.options import HfOptions
from visiontrain_hf.segmenter import HfSegmenter
from visiontrain_hf.trainer import HfTrainer

FAMILIES = ("segformer", "upernet", "beit", "data2vec-vision", "dpt", "mobilevit", "mobilenet_v2")


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_folder_s_weights_are_there_to_the_last_one(harness, describe, kind):
    """transformers writes names of older versions into files: its own Trainer loses 200 of SegFormer's 208."""
    folder, network = describe(kind)
    result, told = harness.train(epochs=1, learning_rate=1e-12, options={"weight_decay": 0.0}, **harness.given(folder))
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    assert "begun anew" not in told.logged
    saved = harness.state()
    for name, value in network.state_dict().items():
        if value.is_floating_point() and "running" not in name:
            assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name
    found, _ = harness.evaluate()
    assert found.metrics["miou"] == result.metrics["miou"]
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"])


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_checkpoint_s_model_gives_the_same_as_the_folder_s(harness, describe, kind):
    """Nothing is lost on the way through a checkpoint, and position embeddings are where they were."""
    folder, network = describe(kind)
    harness.train(
        epochs=1, learning_rate=1e-12, options={"weight_decay": 0.0, "freeze": "backbone"}, **harness.given(folder)
    )
    trainer = HfTrainer()
    saved, model = trainer._inference.load(str(harness.path()), "semantic", HfOptions())
    images = torch.randn(2, 3, *saved.image.size, generator=torch.Generator().manual_seed(0))
    ours = HfSegmenter(network.eval(), ())
    ours.network.load_state_dict(
        {name.removeprefix("network."): value for name, value in harness.state(file="best.pt").items()}
    )
    with torch.no_grad():
        assert torch.allclose(model(images), ours(images), atol=1e-6)


@pytest.mark.parametrize("kind", FAMILIES)
def test_other_classes_begin_their_own_weights_alone_anew(harness, describe, kind):
    folder, network = describe(kind, labels=("a", "b", "c", "d", "e"))
    _, told = harness.train(epochs=1, learning_rate=1e-12, options={"weight_decay": 0.0}, **harness.given(folder))
    assert "(for the data's classes)" in told.logged
    assert "all of" not in told.logged
    saved, anew = harness.state(), []
    for name, value in network.state_dict().items():
        if value.shape != saved[f"network.{name}"].shape:
            anew.append(name)
        elif value.is_floating_point() and "running" not in name:
            assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name
    heads = {name.rpartition(".")[0] for name in anew}
    assert len(heads) == 1 + (getattr(network, "auxiliary_head", None) is not None)


def test_a_backbone_alone_is_enough_to_begin_with(harness, describe, tmp_path):
    """As nvidia/mit-b0 is published: an image classifier."""
    folder, network = describe("segformer")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if not name.startswith("decode_head.")}
        | {"classifier.weight": torch.zeros(1000, 16), "classifier.bias": torch.zeros(1000)},
        folder / "model.safetensors",
    )
    _, told = harness.train(epochs=1, learning_rate=1e-12, options={"weight_decay": 0.0}, **harness.given(folder))
    assert "Not there, and begun anew: all of decode_head." in told.logged
    assert "of no use to this model: classifier.bias, classifier.weight" in told.logged
    saved = harness.state()
    for name, value in network.segformer.state_dict().items():
        assert torch.allclose(value, saved[f"network.segformer.{name}"], atol=1e-6)


@pytest.mark.parametrize("part", ["segformer.", "decode_head.linear_fuse"])
def test_a_missing_weight_is_an_error(harness, describe, part):
    folder, _ = describe("segformer")
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if name.startswith(part))
    del weights[gone]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="does not fit SegformerForSemanticSegmentation: missing"):
        harness.train(**harness.given(folder))


def test_a_classifier_s_run_is_no_beginning(harness, make_harness, index):
    other = make_harness(index, model="vit-tiny")
    other.train(epochs=1)
    with pytest.raises(WeightsError, match="for the task classify, not semantic"):
        harness.train(weights=Weights("file", str(other.path())))
