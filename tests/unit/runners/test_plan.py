from __future__ import annotations

import pytest

from visiontrain.errors import DeviceError, WeightsError
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
