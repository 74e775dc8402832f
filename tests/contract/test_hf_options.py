"""transformers' options, as the host declares them, are those that its trainer takes; and its names."""

from __future__ import annotations

from dataclasses import fields

import pytest

from visiontrain.errors import SpecError
from visiontrain_hf.names import PRESETS, PUBLISHED, preset_of
from visiontrain_hf.options import OPTIMIZERS, HfOptions
from visiontrain_hf.plugin import MANIFEST

OPTIONS = {option.name: option for option in MANIFEST.options}


def test_each_is_declared_with_the_default_that_the_trainer_has():
    assert {name: option.default for name, option in OPTIONS.items()} == {f.name: f.default for f in fields(HfOptions)}


@pytest.mark.parametrize("option", MANIFEST.options, ids=lambda option: option.name)
def test_each_has_bounds_and_a_line_of_help(option):
    assert option.help.endswith(".")
    assert "\n" not in option.help
    if option.type in ("int", "float"):
        assert option.minimum is not None


def test_every_default_stands_by_itself():
    assert HfOptions.from_params({}) == HfOptions(weight_decay=0.05)
    for name in OPTIMIZERS:
        HfOptions.from_params({"optimizer": OPTIONS["optimizer"].check(name)})


@pytest.mark.parametrize(
    "options", [{"lora_alpha": 4}, {"lora_targets": "query"}, {"lora_rank": 4, "freeze": "backbone"}]
)
def test_the_host_refuses_what_has_no_effect(options):
    with pytest.raises(SpecError, match="no effect"):
        MANIFEST.check_options({**{name: option.default for name, option in OPTIONS.items()}, **options})


@pytest.mark.parametrize("name", [*PRESETS, *PUBLISHED, "vit-tiny-scratch", "someone/else", "/a/folder", "./folder"])
def test_names_are_answered_to(name):
    assert MANIFEST.answers_to(name)


@pytest.mark.parametrize("name", ["resnet18", "yolo26n", "hf-hub:timm/resnet18.a1_in1k", "local-dir:/a/folder", "vit"])
def test_others_are_not(name):
    assert not MANIFEST.answers_to(name)


def test_a_preset_may_be_called_what_it_is():
    assert preset_of("swin-tiny-scratch") == preset_of("swin-tiny") == "swin-tiny"
    assert preset_of("swin-large") is None
