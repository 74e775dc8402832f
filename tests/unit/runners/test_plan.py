from __future__ import annotations

from unittest.mock import Mock

import pytest

from visiontrain.datasets.samples import make_sample
from visiontrain.errors import DatasetError, DeviceError, SpecError, WeightsError
from visiontrain.home import Home
from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.manifest import Manifest
from visiontrain.runners.plan import Planner
from visiontrain.runners.routing import frameworks_of
from visiontrain.specs import make_train_spec


@pytest.mark.parametrize(
    ("asked", "error"),
    [({"device": "cuda:0"}, DeviceError), ({"weights": "pretrained"}, WeightsError)],
)
def test_what_the_manifest_rules_out_is_refused_before_anything_is_made(tmp_path, asked, error):
    manifest = Manifest(
        name="frame",
        summary="s",
        licence="MIT",
        tasks=("classify",),
        models=("small",),
        devices=("cpu",),
        weights=("scratch",),
        environment=tmp_path / "environment",
        trainer="package.module:Class",
    )
    plugin = Plugin(name="frame", distribution="frame", version="1", frameworks=(manifest,))
    planner = Planner(Home(tmp_path / "home"), frameworks_of([plugin]), (plugin,))
    spec = make_train_spec(**{"data": "data", "model": "small", "framework": "frame", "weights": "scratch", **asked})
    with pytest.raises(error, match="the framework frame can't"):
        planner.plan(spec, observer=None)
    assert not list(tmp_path.iterdir())


def test_data_for_a_task_that_the_framework_can_not_do_is_refused_before_an_environment_is_built(tmp_path):
    data = make_sample("boxes", tmp_path / "boxes", images_per_class={"train": 1, "val": 1}, image_size=32)
    manifests = [
        Manifest(
            name=name,
            summary="s",
            licence="MIT",
            tasks=tasks,
            models=("small",),
            environment=tmp_path / "environment",
            trainer="package.module:Class",
        )
        for name, tasks in (("frame", ("classify",)), ("boxer", ("classify", "detect")))
    ]
    plugin = Plugin(name="frame", distribution="frame", version="1", frameworks=tuple(manifests))
    planner = Planner(Home(tmp_path / "home"), frameworks_of([plugin]), (plugin,))
    spec = make_train_spec(data=data, model="small", framework="frame", weights="scratch")
    with pytest.raises(DatasetError) as error:
        planner.plan(spec, observer=Mock())
    assert error.value.reason == (
        f"{data} is read as yolo, which holds data for detect, segment, pose or obb, and the framework frame can't "
        "detect; it can: classify"
    )
    assert error.value.instruction == "Name a model of boxer, which can detect."
    with pytest.raises(SpecError, match="task: the framework boxer can't segment; it can: classify, detect"):
        planner.plan(make_train_spec(data=data, model="small", framework="boxer", task="segment"), observer=Mock())
