"""Each option has its effect, and one without any is an error."""

import pytest
import torch

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import SpecError
from visiontrain.protocol.messages import Weights
from visiontrain.testing.worker.inprocess import at
from visiontrain_hf.classifier import head_of
from visiontrain_hf.layers import layers_of, stages_of
from visiontrain_hf.options import HfOptions
from visiontrain_hf.trainer import Transformers


def state(harness, name="run", file="last.pt"):
    return torch.load(harness.path(name, file), weights_only=True)["model"]


@pytest.fixture
def described(describe):
    return str(describe("vit", labels=("blue", "green", "red"))[0])


def test_lora_trains_its_additions_and_the_classifier_alone(harness, described):
    given = {"model": described, "weights": Weights("pretrained"), "options": {"lora_rank": 2}}
    _, told = harness.train(epochs=1, learning_rate=1e-2, **given)
    assert "LoRA of rank 2" in told.logged
    harness.train("zero", epochs=1, learning_rate=1e-12, **given)
    trained, begun = state(harness), state(harness, "zero")
    changed = {name for name in trained if not torch.allclose(trained[name], begun[name], atol=1e-7)}
    assert changed
    assert all(".lora_" in name or "classifier" in name for name in changed)


def test_a_lora_run_goes_on_exactly_is_merged_and_begun_with(harness, described):
    given = {"model": described, "options": {"lora_rank": 2, "lora_targets": "q_proj,v_proj"}}
    pretrained = {**given, "weights": Weights("pretrained"), "learning_rate": 1e-2}
    harness.train("straight", **pretrained)
    harness.train("stopped", interrupt=at("train", 1, 2), **pretrained)
    harness.train("stopped", resume=True, **pretrained)
    one, other = state(harness, "straight"), state(harness, "stopped")
    assert all(torch.equal(one[name], other[name]) for name in one)
    paths = [image.path for image in DatasetIndex(harness.index).images("val")]
    before = harness.predict(paths, "straight")
    _, told = harness.train(
        "second", model=described, weights=Weights("file", str(harness.path("straight"))), epochs=1,
        learning_rate=1e-12, options={"weight_decay": 0.0},
    )  # fmt: skip
    assert "begun anew" not in told.logged
    assert not [name for name in state(harness, "second") if "lora" in name]
    after = harness.predict(paths, "second")
    for left, right in zip(before.predictions, after.predictions, strict=True):
        assert left.classify.probabilities == pytest.approx(right.classify.probabilities, abs=1e-5)
    assert harness.export("onnx", "straight")[0].metrics["export_difference"] < 1e-4


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"lora_rank": 2, "lora_targets": "nothing"}, "lora_targets"),
        ({"lora_alpha": 2}, "lora_alpha"),
        ({"lora_rank": 2, "freeze": "backbone"}, "freeze"),
        ({"lora_rank": 2, "layer_decay": 0.5}, "layer_decay"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"mix_probability": 0.5}, "mix_probability"),
    ],
)
def test_what_has_no_effect_is_refused(harness, described, options, named):
    with pytest.raises(SpecError) as caught:
        harness.train(model=described, weights=Weights("pretrained"), options=options)
    assert caught.value.field == named


def test_lora_of_random_weights_is_refused(harness):
    with pytest.raises(SpecError, match="would keep random weights"):
        harness.train(options={"lora_rank": 2})


def test_activation_checkpointing_gives_the_same_weights(harness):
    for name, on in (("kept", False), ("again", True)):
        harness.train(name, epochs=1, options={"activation_checkpointing": on})
    one, other = state(harness, "kept"), state(harness, "again")
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


@pytest.mark.parametrize("kind", ["vit", "swin", "convnext", "resnet", "beit", "dinov2"])
def test_layers_go_from_the_image_to_the_classifier(describe, kind):
    _, network = describe(kind)
    head = head_of(network)
    layers, stages = layers_of(network, (head,)), stages_of(network, (head,))
    first = next(name for name in layers if "embed" in name)
    assert (layers[first], stages[first]) == (0, 0)
    assert {layers[name] for name in layers if name.startswith(f"{head}.")} == {max(layers.values())}
    assert sorted(set(layers.values())) == list(range(max(layers.values()) + 1))
    assert max(stages.values()) <= max(layers.values())


def test_layer_decay_lowers_early_layers_rates(harness):
    _, told = harness.train(epochs=1, options={"layer_decay": 0.5})
    network = Transformers().build(
        harness_params(harness, layer_decay=0.5), HfOptions(layer_decay=0.5, weight_decay=0.0), ("a", "b"), print
    )
    optimizer = Transformers().optimizer(network.model, 1e-3, HfOptions(layer_decay=0.5, weight_decay=0.0))
    scales = sorted({group["lr_scale"] for group in optimizer.param_groups})
    assert scales == [0.5**power for power in range(7, -1, -1)]
    assert told.rows


def harness_params(harness, **options):
    from visiontrain.protocol.messages import TrainParams

    return TrainParams(
        run_id="x", run_dir=str(harness.folder), model="vit-tiny", dataset=str(harness.index), epochs=1, resume=None,
        weights=Weights("scratch"), options=options, task="classify", batch_size=8, learning_rate=None, image_size=32,
        device="cpu", seed=0,
    )  # fmt: skip


@pytest.mark.parametrize("text", ["backbone", "2", "network.vit.embeddings"])
def test_what_is_frozen_stays(harness, described, text):
    given = {"model": described, "weights": Weights("pretrained"), "options": {"freeze": text}}
    harness.train(epochs=1, learning_rate=1e-2, **given)
    harness.train("zero", epochs=1, learning_rate=1e-12, **given)
    trained, begun = state(harness), state(harness, "zero")
    same = {name for name in trained if torch.allclose(trained[name], begun[name], atol=1e-7)}
    assert "network.vit.embeddings.cls_token" in same
    assert "network.classifier.weight" not in same
    assert ("network.vit.layernorm.weight" in same) == (text == "backbone")
