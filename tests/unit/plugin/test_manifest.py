from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from visiontrain.errors import DeviceError, SpecError, WeightsError
from visiontrain.plugin.manifest import Manifest, Option
from visiontrain.protocol.tasks import Task

GOOD = {
    "name": "frame",
    "summary": "s",
    "licence": "MIT",
    "tasks": (Task.classify,),
    "models": ("res*", "vit_*"),
    "environment": Path(),
    "trainer": "package.module:Class",
    "packages": ("package",),
}


def option(**fields):
    return Option(**{"name": "opt", "type": "float", "default": None, "help": "h", **fields})


class TestManifest:
    def test_models_and_names(self):
        manifest = Manifest(**GOOD, aliases=("other",))
        assert manifest.answers_to("resnet18")
        assert not manifest.answers_to("Resnet18")
        assert not manifest.answers_to("aresnet")
        assert not manifest.answers_to("hub:resnet18")
        assert manifest.is_called("frame")
        assert manifest.is_called("other")
        assert not manifest.is_called("fram")

    def test_a_name_with_a_scheme_is_matched_by_patterns_that_have_one(self):
        everything = Manifest(**{**GOOD, "models": ("*", "hub:*")})
        assert everything.answers_to("hub:someone/resnet18")
        assert not everything.answers_to("place:resnet18")

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "Frame"},
            {"name": "1frame"},
            {"name": "frame-2"},
            {"name": "f" * 33},
            {"tasks": ()},
            {"tasks": ("rocketry",)},
            {"models": ()},
            {"packages": ()},
            {"devices": ("cuda:0",)},
            {"weights": ()},
            {"weights": ("imagenet",)},
            {"trainer": "package.module"},
            {"trainer": "package.module:Class:Other"},
            {"trainer": "package/module:Class"},
            {"unknown": 1},
            {"defaults": {"epochs": 0}},
        ],
    )
    def test_a_wrong_field_is_refused_and_named(self, change):
        with pytest.raises(ValidationError, match=next(iter(change))):
            Manifest(**{**GOOD, **change})

    def test_the_worker_sees_the_trainers_package_where_no_other_is_named(self):
        manifest = {name: value for name, value in GOOD.items() if name != "packages"}
        assert Manifest(**manifest).packages == ("package",)
        assert Manifest(**{**manifest, "trainer": "package:Class"}).packages == ("package",)

    @pytest.mark.parametrize(
        ("devices", "device", "is_refused"),
        [
            ((), "cuda:1", False),
            (("cpu",), "auto", False),
            (("cpu",), "cpu", False),
            (("cpu",), "cuda", True),
            (("cpu", "cuda"), "cuda:1", False),
            (("cpu", "cuda"), "mps", True),
        ],
    )
    def test_devices_that_are_not_named_are_refused(self, devices, device, is_refused):
        manifest = Manifest(**GOOD, devices=devices)
        if not is_refused:
            manifest.check_device(device)
            return
        with pytest.raises(DeviceError, match=f"the framework frame can't compute on {device}") as caught:
            manifest.check_device(device)
        assert caught.value.instruction == f"Give --device {' or '.join(devices)}, or none."

    def test_weights_that_are_not_named_are_refused(self):
        for source in ("pretrained", "scratch", "file"):
            Manifest(**GOOD).check_weights(source)
        manifest = Manifest(**GOOD, weights=("scratch", "file"))
        manifest.check_weights("file")
        with pytest.raises(WeightsError, match="the framework frame can't begin with published weights") as caught:
            manifest.check_weights("pretrained")
        assert caught.value.instruction == "Give --scratch or --weights PATH."

    def test_a_batch_size_is_found_only_where_the_trainer_can(self):
        Manifest(**GOOD, auto_batch_size=True).check_batch_size("auto")
        for given in (None, 8):
            Manifest(**GOOD).check_batch_size(given)
        with pytest.raises(SpecError, match="batch_size: can't be auto: the framework frame does not find") as caught:
            Manifest(**GOOD).check_batch_size("auto")
        assert caught.value.instruction == "Give a number, or leave it out for 32."

    def test_it_does_not_change(self):
        with pytest.raises(ValidationError):
            Manifest(**GOOD).name = "other"


class TestOption:
    @pytest.mark.parametrize(
        ("kind", "given", "expected"),
        [
            ("bool", "Yes", True),
            ("bool", "off", False),
            ("bool", True, True),
            ("int", "3", 3),
            ("int", 3.0, 3),
            ("int", -3, -3),
            ("float", "1e-3", 0.001),
            ("float", 2, 2.0),
            ("str", "text", "text"),
            ("str", "", ""),
        ],
    )
    def test_values_and_the_text_that_a_person_types(self, kind, given, expected):
        value = option(type=kind).check(given)
        assert value == expected
        assert type(value) is type(expected)

    @pytest.mark.parametrize(
        ("kind", "given"),
        [
            ("bool", "maybe"),
            ("bool", 1),
            ("bool", None),
            ("int", "3.5"),
            ("int", 3.5),
            ("int", True),
            ("int", "x"),
            ("int", float("inf")),
            ("float", "nan"),
            ("float", float("inf")),
            ("float", False),
            ("float", []),
            ("str", 3),
            ("str", None),
        ],
    )
    def test_another_type_is_refused_with_the_options_name(self, kind, given):
        with pytest.raises(SpecError, match=f"opt: must be of type {kind}") as caught:
            option(type=kind).check(given)
        assert caught.value.field == "opt"

    @pytest.mark.parametrize(("given", "expected"), [("+3", 3), (" 7 ", 7), (str(2**60 + 1), 2**60 + 1)])
    def test_a_whole_number_in_every_spelling(self, given, expected):
        assert option(type="int").check(given) == expected

    @pytest.mark.parametrize(
        ("bounds", "good", "bad", "words"),
        [
            ({"minimum": 0, "maximum": 1}, [0, 1, 0.5], [-0.1, 1.1], "between 0 and 1"),
            ({"minimum": 2}, [2, 1000], [1.9], "at least 2"),
            ({"maximum": 2}, [2, -1000], [2.1], "at most 2"),
        ],
    )
    def test_bounds_are_inclusive_and_told(self, bounds, good, bad, words):
        checked = option(**bounds)
        for value in good:
            assert checked.check(value) == value
        for value in bad:
            with pytest.raises(SpecError, match=words):
                checked.check(value)

    def test_choices_are_told(self):
        checked = option(type="str", choices=("light", "none"))
        assert checked.check("none") == "none"
        with pytest.raises(SpecError, match="one of light, none, not 'heavy'"):
            checked.check("heavy")

    @pytest.mark.parametrize(
        "fields", [{"default": 5, "maximum": 1}, {"default": "x"}, {"name": "Bad"}, {"type": "list"}]
    )
    def test_a_wrong_declaration_is_refused(self, fields):
        with pytest.raises((ValidationError, SpecError)):
            option(**fields)
