"""timm's options, as the host declares them, are those that its trainer takes."""

from __future__ import annotations

from dataclasses import fields

import pytest

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.optimizers import OPTIMIZERS
from visiontrain.session import Session
from visiontrain_timm.options import TimmOptions
from visiontrain_timm.plugin import MANIFEST

OPTIONS = {option.name: option for option in MANIFEST.options}


def test_each_is_declared_with_the_default_that_the_trainer_has():
    assert {name: option.default for name, option in OPTIONS.items()} == {
        f.name: f.default for f in fields(TimmOptions)
    }


@pytest.mark.parametrize("option", MANIFEST.options, ids=lambda option: option.name)
def test_each_has_bounds_and_a_line_of_help(option):
    assert option.help.endswith(".")
    assert "\n" not in option.help
    if option.type in ("int", "float"):
        assert option.minimum is not None


def test_every_default_stands_by_itself():
    assert TimmOptions.from_params({}) == TimmOptions(weight_decay=0.05)
    for name in OPTIMIZERS:
        TimmOptions.from_params({"optimizer": OPTIONS["optimizer"].check(name)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "sgdw"), ("momentum", "1"), ("layer_decay", "0"), ("schedule", "exp"), ("accumulate", "0"),
        ("accumulate", "1.5"), ("ema_decay", "1"), ("mixup", "-1"), ("augmentation", "heavy"), ("crop_pct", "0"),
        ("interpolation", "cubic"), ("compile", "maybe"), ("patience", "-1"), ("primary_metric", "loss"),
        ("weight_decay", "nan"), ("balanced_sampling", "2"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused_by_the_host(name, value):
    with pytest.raises(SpecError) as caught:
        OPTIONS[name].check(value)
    assert str(caught.value).startswith(f"{name}: must be")


def test_epochs_of_a_schedule():
    def drops(**options):
        return TimmOptions.from_params(options).drops(30)

    assert drops() == ()
    assert drops(schedule="step") == (10, 20)
    assert drops(schedule="step", decay_epochs="12") == (12, 24)
    assert drops(schedule="multistep") == (15, 22.5)
    assert drops(schedule="multistep", decay_epochs="24, 8") == (8, 24)


def test_weights_by_class_name():
    def weights(text):
        return TimmOptions.from_params({"class_weights": text}).weights_by_class()

    assert weights("none") is weights("balanced") is None
    assert weights("cat=2, sea lion=0.5") == {"cat": 2, "sea lion": 0.5}
    assert weights("a=b=3") == {"a=b": 3}
    assert weights('{"cat, dog": 2}') == {"cat, dog": 2}


def test_what_a_resumed_run_must_share():
    options = TimmOptions.from_params({})
    names = {f.name for f in fields(TimmOptions)}
    assert options.conditions().keys() | options.identity().keys() == names - {
        "workers",
        "checkpoint_minutes",
        "patience",
    }
    assert not options.conditions().keys() & options.identity().keys()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"momentum": 0.9}, "momentum: is nothing that adamw has"),
        ({"decay_epochs": "3"}, "decay_epochs: has no effect with schedule=cosine"),
        ({"layer_decay": 0.5, "freeze": "backbone"}, "layer_decay: has no effect"),
        ({"mean": "grey"}, "mean: must be numbers"),
    ],
)
def test_contradictions_are_refused_before_a_run_is_made(tmp_path, monkeypatch, options, words):
    monkeypatch.setenv("VISIONTRAIN_HOME", str(tmp_path))
    with pytest.raises(SpecError, match=words):
        Session().train("shapes", model="resnet18", weights="scratch", options=options)
    assert not (tmp_path / "runs").exists()
