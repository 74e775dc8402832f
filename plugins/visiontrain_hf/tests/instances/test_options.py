"""Each option has its effect on Mask2Former, and one without any is an error."""

import pytest
import torch

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task
from visiontrain.testing.worker.inprocess import at
from visiontrain_hf.options import HfOptions
from visiontrain_hf.trainer import Transformers

LABELS, SIDE = ("green", "red"), 64


def test_what_is_frozen_stays(harness, describe):
    folder, network = describe()
    harness.train(epochs=1, learning_rate=1e-2, options={"freeze": "backbone"}, **harness.given(folder))
    saved = harness.state()
    same = {name for name, value in network.state_dict().items() if torch.equal(value, saved[f"network.{name}"])}
    backbone = {name for name in network.state_dict() if name.startswith("model.pixel_level_module.encoder.")}
    assert backbone <= same
    assert "class_predictor.weight" not in same
    assert "model.pixel_level_module.decoder.mask_projection.weight" not in same


def test_the_backbone_learns_at_a_tenth_of_the_rate(harness, describe):
    folder, network = describe()
    begun, moved = network.state_dict(), {}
    key = next(name for name in begun if name.endswith("patch_embeddings.projection.bias"))
    for name, options in (("usual", {}), ("whole", {"backbone_rate": 1.0}), ("not", {"backbone_rate": 0.0})):
        harness.train(name, epochs=1, options={"weight_decay": 0.0, **options}, **harness.given(folder))
        moved[name] = float((harness.state(name)[f"network.{key}"] - begun[key]).abs().max())
    assert moved["not"] == 0
    assert 5 * moved["usual"] < moved["whole"]


def test_every_one_of_lora_s_additions_learns_and_it_is_merged(harness, describe):
    """Not in torch's own attention, which takes weights alone, nor where a list of layers keeps what they were."""
    folder, _ = describe()
    one = harness.given(folder, learning_rate=1e-2, options={"lora_rank": 2})
    harness.train("straight", **one)
    harness.train("stopped", interrupt=at("train", 1, 2), **one)
    harness.train("stopped", resume=True, **one)
    trained, stopped = harness.state("straight"), harness.state("stopped")
    assert all(torch.equal(trained[name], stopped[name]) for name in trained)
    additions = {name: value for name, value in trained.items() if ".lora_B." in name}
    assert additions
    assert all(value.abs().max() > 0 for value in additions.values())
    assert not any("cross_attn" in name or "mask_embedder" in name for name in additions)
    found, _ = harness.evaluate("straight")
    assert found.metrics["val_loss"] > 0
    assert harness.export("torchscript", "straight")[0].metrics["export_difference"] < 1e-3


def test_an_addition_that_would_have_no_effect_is_refused(harness, describe):
    folder, _ = describe()
    with pytest.raises(SpecError, match="would have no effect") as caught:
        harness.train(**harness.given(folder, options={"lora_rank": 2, "lora_targets": "out_proj"}))
    assert caught.value.field == "lora_targets"


def test_activation_checkpointing_gives_the_same_weights(harness, describe):
    folder, _ = describe()
    for name, on in (("kept", False), ("again", True)):
        harness.train(name, epochs=1, **harness.given(folder, options={"activation_checkpointing": on}))
    one, other = harness.state("kept"), harness.state("again")
    assert all(torch.allclose(one[name].float(), other[name].float(), atol=1e-5) for name in one)


@pytest.mark.parametrize("on", [False, True])
def test_activation_checkpointing_computes_the_backbone_s_blocks_again(harness, describe, on):
    options = HfOptions.from_params({"activation_checkpointing": on}, Task.segment)
    model = Transformers().build(harness.params(**harness.given(describe()[0])), options, LABELS, print).model.train()
    block = next(module for module in model.modules() if type(module).__name__ == "SwinLayer")
    computed = []
    block.attention.register_forward_hook(lambda *_: computed.append(1))
    model(torch.zeros(1, 3, SIDE, SIDE))[-1].masks.sum().backward()
    assert (len(computed) > 1) == on


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mixup": 0.2}, "mixup"),
        ({"label_smoothing": 0.3}, "label_smoothing"),
        ({"class_weights": "red=2"}, "class_weights"),
        ({"crop_pct": 0.9}, "crop_pct"),
        ({"layer_decay": 0.9}, "layer_decay"),
        ({"compile": True}, "compile"),
        ({"primary_metric": "miou"}, "primary_metric"),
        ({"freeze": "backbone"}, "freeze"),
        ({"lora_rank": 2}, "lora_rank"),
    ],
)
def test_what_has_no_effect_is_refused(harness, options, named):
    with pytest.raises(SpecError) as caught:
        harness.train(options=options)
    assert caught.value.field == named
