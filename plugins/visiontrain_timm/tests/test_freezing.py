"""What is frozen stays, and early layers learn slower: by the parts that timm says its models have."""

from __future__ import annotations

import pytest
import timm
import torch

from visiontrain_timm.optimize import build_optimizer
from visiontrain_timm.options import TimmOptions
from visiontrain_timm.trainer import Timm


@pytest.mark.parametrize(
    ("freeze", "thawed"),
    [
        ("backbone", {"fc"}),
        ("2", {"layer2", "layer3", "layer4", "fc"}),
        ("conv1, bn1,layer[12]", {"layer3", "layer4", "fc"}),
        ("*.bn?,fc.bias", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}),
    ],
)
def test_what_is_frozen_stays(harness, pretrained, freeze, thawed):
    _, context = harness.train(weights=pretrained, options={"freeze": freeze})
    before, after = harness.best("first")["model"], harness.last()["model"]
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    frozen = set(Timm().parameters_to_freeze(timm.create_model("test_resnet", num_classes=3), freeze))
    assert not frozen & changed
    assert {name.split(".")[0] for name in changed} == thawed
    assert f"Frozen: {len(frozen)} of" in context.logged


def test_batch_norms_of_a_frozen_backbone_keep_their_statistics(harness, pretrained):
    harness.train(weights=pretrained, options={"freeze": "backbone"})
    before, after = harness.best("first")["model"], harness.last()["model"]
    assert all(torch.equal(after[name], before[name]) for name in before if not name.startswith("fc."))


@pytest.mark.parametrize(
    "model", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "efficientnet_b0", "swin_tiny_patch4_window7_224"]
)
def test_stages_and_layers_of_families(model):
    network = timm.create_model(model, num_classes=3)
    names = [name for name, _ in network.named_parameters()]
    backbone = Timm().parameters_to_freeze(network, "backbone")
    assert 1 <= len(names) - len(backbone) <= 2
    one, two = (Timm().parameters_to_freeze(network, count) for count in "12")
    assert 0 < len(one) < len(two) < len(backbone)
    assert set(one) < set(two) < set(backbone)
    optimizer = build_optimizer(network, 0.1, TimmOptions.from_params({"layer_decay": 0.5}))
    scales = {id(parameter): group["lr_scale"] for group in optimizer.param_groups for parameter in group["params"]}
    by_name = {name: scales[id(parameter)] for name, parameter in network.named_parameters()}
    assert by_name[names[-1]] == 1.0
    assert by_name[names[0]] == min(scales.values()) <= 0.5**3


@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "xcit_nano_12_p16_224"])
def test_the_layer_decay_is_that_of_timms_own_groups(model):
    from timm.optim._param_groups import param_groups_layer_decay

    network = timm.create_model(model, num_classes=3)
    theirs = param_groups_layer_decay(network, 0.05, no_weight_decay_list=network.no_weight_decay(), layer_decay=0.7)
    ours = build_optimizer(network, 0.1, TimmOptions.from_params({"layer_decay": 0.7})).param_groups

    def by_parameter(groups):
        return {
            id(p): (pytest.approx(group["lr_scale"]), group["weight_decay"])
            for group in groups
            for p in group["params"]
        }

    assert by_parameter(ours) == by_parameter(theirs)
