"""Each option has its effect, and one without any is an error."""

import pytest
import torch
from transformers import AutoConfig

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import SpecError
from visiontrain.protocol.messages import Weights
from visiontrain.testing.worker.inprocess import at
from visiontrain_hf.kinds import class_modules
from visiontrain_hf.layers import layers_of, stages_of
from visiontrain_hf.options import HfOptions
from visiontrain_hf.trainer import Transformers


@pytest.fixture
def described(describe):
    return str(describe("vit", labels=("blue", "green", "red"))[0])


def test_lora_trains_its_additions_and_the_classifier_alone(harness, described):
    given = {"model": described, "weights": Weights("pretrained"), "options": {"lora_rank": 2}}
    _, told = harness.train(epochs=1, learning_rate=1e-2, **given)
    assert "LoRA of rank 2" in told.logged
    harness.train("zero", epochs=1, learning_rate=1e-12, **given)
    trained, begun = harness.state(), harness.state("zero")
    changed = {name for name in trained if not torch.allclose(trained[name], begun[name], atol=1e-7)}
    assert changed
    assert all(".lora_" in name or "classifier" in name for name in changed)


def test_a_lora_run_goes_on_exactly_is_merged_and_begun_with(harness, described):
    given = {"model": described, "options": {"lora_rank": 2, "lora_targets": "q_proj,v_proj"}}
    pretrained = {**given, "weights": Weights("pretrained"), "learning_rate": 1e-2}
    harness.train("straight", **pretrained)
    harness.train("stopped", interrupt=at("train", 1, 2), **pretrained)
    harness.train("stopped", resume=True, **pretrained)
    one, other = harness.state("straight"), harness.state("stopped")
    assert all(torch.equal(one[name], other[name]) for name in one)
    paths = [image.path for image in DatasetIndex(harness.index).images("val")]
    before = harness.predict(paths, "straight")
    _, told = harness.train(
        "second", model=described, weights=Weights("file", str(harness.path("straight"))), epochs=1,
        learning_rate=1e-12, options={"weight_decay": 0.0},
    )  # fmt: skip
    assert "begun anew" not in told.logged
    assert not [name for name in harness.state("second") if "lora" in name]
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
    one, other = harness.state("kept"), harness.state("again")
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


@pytest.mark.parametrize("kind", ["vit", "swin", "convnext", "resnet", "beit", "dinov2"])
def test_layers_go_from_the_image_to_the_classifier(describe, kind):
    _, network = describe(kind)
    (head,) = class_modules(type(network), network.config)
    layers, stages = layers_of(network, (head,)), stages_of(network, (head,))
    first = next(name for name in layers if "embed" in name)
    assert (layers[first], stages[first]) == (0, 0)
    assert {layers[name] for name in layers if name.startswith(f"{head}.")} == {max(layers.values())}
    assert sorted(set(layers.values())) == list(range(max(layers.values()) + 1))
    assert max(stages.values()) <= max(layers.values())


@pytest.mark.parametrize("kind", ["pvt", "poolformer"])
def test_stages_that_lie_side_by_side_are_told_by_their_number(describe, kind):
    """Embeddings of all stages come first in the network, and then all blocks."""
    _, network = describe(kind)
    heads = class_modules(type(network), network.config)
    stages, layers = stages_of(network, heads), layers_of(network, heads)
    for number in range(4):
        of_stage = {
            name: place
            for name, place in stages.items()
            if f".patch_embeddings.{number}." in name or f".block.{number}." in name
        }
        assert len(of_stage) > 2
        assert set(of_stage.values()) == {number + 1}
    embeddings = [layers[next(name for name in layers if f".patch_embeddings.{stage}." in name)] for stage in range(4)]
    blocks = [layers[next(name for name in layers if f".block.{stage}.0." in name)] for stage in range(4)]
    order = [place for pair in zip(embeddings, blocks, strict=True) for place in pair]
    assert order == sorted(set(order))
    assert max(layers[name] for name in layers if "embeddings" in name) < max(layers.values())


def test_an_image_size_that_leaves_pixels_unseen_is_refused(harness):
    with pytest.raises(SpecError, match="must be a multiple of 8 for vit-tiny, not 50 x 50") as caught:
        harness.train(image_size=50)
    assert caught.value.field == "image_size"
    harness.train(image_size=50, model="swin-tiny", epochs=1)  # pads


def test_a_network_that_takes_more_than_images_is_refused(harness, tmp_path):
    config = AutoConfig.for_model("imagegpt", n_embd=16, n_layer=1, n_head=2, n_positions=64)
    config.save_pretrained(tmp_path / "imagegpt")
    with pytest.raises(SpecError, match="can't compute images") as caught:
        harness.train(model=str(tmp_path / "imagegpt"), image_size=None)
    assert caught.value.field == "model"


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
    trained, begun = harness.state(), harness.state("zero")
    same = {name for name in trained if torch.allclose(trained[name], begun[name], atol=1e-7)}
    assert "network.vit.embeddings.cls_token" in same
    assert "network.classifier.weight" not in same
    assert ("network.vit.layernorm.weight" in same) == (text == "backbone")
