"""Each option has its effect on what segments by class, and one without any is an error."""

import pytest
import torch

from visiontrain.errors import SpecError
from visiontrain.testing.worker.inprocess import at
from visiontrain_hf.layers import layers_of
from visiontrain_hf.options import HfOptions
from visiontrain_hf.segmenter import HfSegmenter
from visiontrain_hf.trainer import Transformers

LABELS = ("background", "red", "green")

FAMILIES = ("segformer", "upernet", "beit", "data2vec-vision", "dpt", "mobilevit", "mobilenet_v2")


@pytest.mark.parametrize("kind", FAMILIES)
def test_layers_go_from_the_image_to_the_head(describe, kind):
    _, network = describe(kind)
    model = HfSegmenter(network, ())
    layers = layers_of(network, model.above)
    above = {layers[name] for name, _ in network.named_parameters() if not model.in_backbone(name)}
    assert above == {max(layers.values())}
    assert layers[next(iter(layers))] == min(layers.values()) < max(layers.values())


def test_layer_decay_lowers_the_backbone_s_rates(harness):
    params = harness.params(options={"layer_decay": 0.5})
    options = HfOptions(layer_decay=0.5, weight_decay=0.0)
    built = Transformers().build(params, options, LABELS, print)
    groups = Transformers().optimizer(built.model, 1e-3, options).param_groups
    scale = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    named = dict(built.model.named_parameters())
    assert scale[id(named["network.decode_head.classifier.weight"])] == 1
    assert all(scale[id(value)] < 1 for name, value in named.items() if name.startswith("network.segformer."))


@pytest.mark.parametrize(("options", "share"), [({}, 0.1), ({"backbone_rate": 0.5}, 0.5), ({"lora_rank": 2}, 1)])
def test_a_trained_backbone_learns_slower_than_what_is_new(harness, describe, options, share):
    folder, _ = describe("segformer")
    params = harness.params(options=options, **harness.given(folder))
    chosen = HfOptions(**options, weight_decay=0.0)
    built = Transformers().build(params, chosen, LABELS, print)
    groups = Transformers().optimizer(built.model, 1e-3, chosen).param_groups
    scale = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    trained = {name: scale[id(value)] for name, value in built.model.named_parameters() if id(value) in scale}
    assert {value for name, value in trained.items() if name.startswith("network.segformer.")} == {share}
    assert {value for name, value in trained.items() if name.startswith("network.decode_head.")} == {1}


def test_what_is_frozen_stays(harness, describe):
    folder, _ = describe("segformer")
    one = harness.given(folder)
    harness.train(epochs=1, learning_rate=1e-2, options={"freeze": "backbone"}, **one)
    harness.train("begun", epochs=1, learning_rate=1e-12, **one)
    trained, begun = harness.state(), harness.state("begun")
    same = {name for name in trained if torch.allclose(trained[name].float(), begun[name].float(), atol=1e-7)}
    assert {name for name in trained if name.startswith("network.segformer.")} <= same
    assert "network.decode_head.linear_fuse.weight" not in same


def test_lora_trains_its_additions_and_the_heads_and_is_merged(harness, describe):
    folder, _ = describe("segformer")
    one = {**harness.given(folder), "options": {"lora_rank": 2, "augmentation": "light"}, "learning_rate": 1e-2}
    harness.train("straight", **one)
    harness.train("stopped", interrupt=at("train", 1, 2), **one)
    harness.train("stopped", resume=True, **one)
    trained, stopped = harness.state("straight"), harness.state("stopped")
    assert all(torch.equal(trained[name], stopped[name]) for name in trained)
    harness.train("begun", **{**one, "learning_rate": 1e-12})
    begun = harness.state("begun")
    changed = {name for name in trained if not torch.allclose(trained[name].float(), begun[name].float(), atol=1e-6)}
    assert any(".lora_" in name for name in changed)
    assert any("linear_fuse" in name for name in changed)
    assert all(".lora_" in name or ".decode_head." in name for name in changed)
    assert harness.evaluate("straight")[0].metrics["miou"] >= 0
    assert harness.export("onnx", "straight")[0].metrics["export_difference"] < 1e-4


def test_class_weights_change_what_is_learned(harness):
    for name, text in (("none", "none"), ("balanced", "balanced"), ("given", "red=20,green=0.1")):
        harness.train(name, epochs=1, options={"class_weights": text})
    states = [harness.state(name) for name in ("none", "balanced", "given")]
    name = "network.decode_head.classifier.weight"
    assert not torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[1][name], states[2][name])


def test_activation_checkpointing_gives_the_same_weights(harness):
    for name, on in (("kept", False), ("again", True)):
        harness.train(name, epochs=1, options={"activation_checkpointing": on})
    one, other = harness.state("kept"), harness.state("again")
    assert all(torch.allclose(one[name].float(), other[name].float(), atol=1e-5) for name in one)


def test_activation_checkpointing_counts_a_batch_norm_s_images_once(harness, describe):
    """MobileViT has some in what is computed again."""
    folder, _ = describe("mobilevit")
    for name, on in (("kept", False), ("again", True)):
        harness.train(name, epochs=1, **harness.given(folder, options={"activation_checkpointing": on}))
    one, other = harness.state("kept"), harness.state("again")
    assert any(name.endswith("num_batches_tracked") for name in one)
    assert not [name for name in one if not torch.allclose(one[name].float(), other[name].float(), atol=1e-5)]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mixup": 0.2}, "mixup"),
        ({"label_smoothing": 0.3}, "label_smoothing"),
        ({"balanced_sampling": True}, "balanced_sampling"),
        ({"crop_pct": 0.9}, "crop_pct"),
        ({"compile": True}, "compile"),
        ({"class_weights": "blue=2"}, "class_weights"),
        ({"primary_metric": "accuracy"}, "primary_metric"),
        ({"freeze": "backbone"}, "freeze"),
        ({"lora_rank": 2}, "lora_rank"),
    ],
)
def test_what_has_no_effect_is_refused(harness, options, named):
    with pytest.raises(SpecError) as caught:
        harness.train(options=options)
    assert caught.value.field == named


def test_another_metric_may_pick_the_best_epoch(harness):
    for metric in ("pixel_accuracy", "mean_accuracy", "val_loss"):
        result, _ = harness.train(metric, epochs=1, options={"primary_metric": metric})
        assert metric in result.metrics
