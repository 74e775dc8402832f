from __future__ import annotations

from pathlib import Path

import pytest

from visiontrain.errors import AmbiguousModelError, SpecError, UnknownModelError
from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.manifest import Manifest
from visiontrain.protocol.messages import InitializeResult, ModelInfo
from visiontrain.protocol.tasks import Task
from visiontrain.runners.catalog import Catalog
from visiontrain.runners.routing import Framework, frameworks_of, near_models, route, route_framework


def framework(name, *patterns, aliases=()):
    manifest = Manifest(
        name=name,
        summary="s",
        licence="MIT",
        tasks=(Task.classify,),
        aliases=aliases,
        models=patterns,
        environment=Path(),
        trainer="m:C",
        packages=("p",),
    )
    return Framework(manifest, Plugin(name=name, distribution=name, version="1", frameworks=(manifest,)))


def catalog(*names):
    models = tuple(ModelInfo(name, ("classify",), ("a1", "b2") if name == "resnet18" else ()) for name in names)
    return Catalog("1", InitializeResult(1, "m:C", {}), models)


TIMM = framework("timm", "resnet*", "vit_*", "hf-hub:*", aliases=("pytorch_image_models",))
YOLO = framework("yolo", "yolo*", "resnet_yolo*")
RIVAL = framework("rival", "resnet*")
BROKEN = Plugin(name="timm", distribution="visiontrain-timm", version="1", error="it is broken")
UNREAD = {}
READ = {"timm": catalog("resnet18", "resnet34", "vit_tiny"), "yolo": catalog("yolo11n"), "rival": catalog("resnet18")}


def routed(model, *frameworks, catalogs=READ, plugins=()):
    return route(model, frameworks, lambda f: catalogs.get(f.manifest.name), plugins)


class TestModel:
    @pytest.mark.parametrize("catalogs", [READ, UNREAD])
    @pytest.mark.parametrize(("model", "expected"), [("resnet18", TIMM), ("yolo11n", YOLO)])
    def test_the_name_decides(self, model, expected, catalogs):
        assert routed(model, TIMM, YOLO, catalogs=catalogs) is expected

    def test_a_catalogue_has_the_last_word(self):
        assert routed("resnet99", TIMM, catalogs=UNREAD) is TIMM
        with pytest.raises(UnknownModelError):
            routed("resnet99", TIMM)
        # A name that no pattern foresaw is known all the same.
        assert routed("brandnew", TIMM, catalogs={"timm": catalog("brandnew")}) is TIMM

    def test_a_pattern_that_matches_is_no_rival_of_a_catalogue_that_does_not(self):
        assert routed("resnet34", TIMM, RIVAL) is TIMM
        assert routed("resnet34", RIVAL, TIMM, catalogs={"timm": READ["timm"], "rival": catalog("resnet18")}) is TIMM

    def test_a_tag_of_published_weights_belongs_to_the_name(self):
        assert routed("resnet18.b2", TIMM) is TIMM
        for unknown in ("resnet18.c3", "resnet34.a1", "resnet18."):
            with pytest.raises(UnknownModelError):
                routed(unknown, TIMM)

    def test_a_name_with_a_scheme_goes_by_the_patterns(self):
        assert routed("hf-hub:someone/model", TIMM, YOLO) is TIMM
        with pytest.raises(UnknownModelError):
            routed("local-dir:x", TIMM, YOLO)

    def test_several_ask_which(self):
        with pytest.raises(AmbiguousModelError, match="timm and rival both know a model 'resnet18'") as caught:
            routed("resnet18", TIMM, RIVAL)
        assert "--framework timm or --framework rival" in caught.value.instruction

    @pytest.mark.parametrize(
        ("model", "near"),
        [("resnet81", "resnet18"), ("resnet", "resnet18"), ("vittiny", "vit_tiny"), ("yolo11", "yolo11n")],
    )
    def test_an_unknown_one_has_near_matches(self, model, near):
        with pytest.raises(UnknownModelError, match=f"no installed framework knows a model '{model}'") as caught:
            routed(model, TIMM, YOLO)
        hint = caught.value.instruction.partition("?")[0]
        assert hint.startswith("Did you mean ")
        assert near in hint.removeprefix("Did you mean ").split(", ")

    def test_an_unknown_one_while_names_are_not_at_hand(self):
        with pytest.raises(UnknownModelError) as caught:
            routed("efficientnet", TIMM, catalogs=UNREAD)
        assert "visiontrain env build timm" in caught.value.instruction

    def test_one_of_a_plugin_that_is_not_installed_names_that_and_its_licence(self):
        with pytest.raises(UnknownModelError) as caught:
            routed("yolo26n-seg", TIMM)
        assert caught.value.instruction == (
            "It is one of yolo's. Install that: pip install visiontrain-yolo (licence: AGPL-3.0-or-later)"
        )
        with pytest.raises(UnknownModelError, match="Did you mean"):
            routed("yolo99n", TIMM, YOLO)
        with pytest.raises(UnknownModelError, match="installed and broken"):
            routed("yolo26n", plugins=[BROKEN])

    def test_no_plugin_at_all(self):
        with pytest.raises(UnknownModelError) as caught:
            routed("resnet18")
        assert "No plugin is installed. Install one: pip install visiontrain-timm" in caught.value.instruction

    def test_a_broken_plugin_is_told_of(self):
        with pytest.raises(UnknownModelError) as caught:
            routed("resnet18", plugins=[BROKEN])
        assert "The plugin timm is installed and broken" in caught.value.instruction


class TestFramework:
    def test_by_name_and_alias(self):
        assert route_framework("yolo", [TIMM, YOLO]) is YOLO
        assert route_framework("pytorch_image_models", [TIMM, YOLO]) is TIMM

    def test_an_unknown_one_lists_what_is_installed(self):
        with pytest.raises(SpecError, match="framework: no installed plugin adds 'torch'") as caught:
            route_framework("torch", [TIMM, YOLO])
        assert caught.value.field == "framework"
        assert "Installed: timm, yolo." in caught.value.instruction

    def test_a_known_one_says_what_to_install(self):
        with pytest.raises(SpecError) as caught:
            route_framework("timm", [YOLO])
        assert caught.value.instruction == "Install it: pip install visiontrain-timm"
        with pytest.raises(SpecError, match=r"pip install visiontrain-yolo \(licence: AGPL-3\.0-or-later\)"):
            route_framework("yolo", [TIMM])

    def test_a_broken_one_says_so(self):
        with pytest.raises(SpecError) as caught:
            route_framework("timm", [YOLO], [BROKEN])
        assert "installed and broken" in caught.value.instruction

    def test_broken_plugins_add_none(self):
        assert frameworks_of([BROKEN, TIMM.plugin]) == (TIMM,)


def test_near_models_are_five_at_the_most():
    assert near_models("model", [f"model{number}" for number in range(9)]) == [
        "model8",
        "model7",
        "model6",
        "model5",
        "model4",
    ]
    assert near_models("zzz", ["model"]) == []
