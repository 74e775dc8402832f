"""The plugins' own manifests, with other trainers and empty environments: examples meet the real options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Manifest
from visiontrain_timm.plugin import MANIFEST as TIMM
from visiontrain_yolo.plugin import MANIFEST as YOLO


def stand_in(manifest: Manifest, trainer: str, environment: str) -> Manifest:
    """The manifest, with a trainer that needs nothing."""
    changes = {
        "environment": Path(__file__).parent / environment,
        "trainer": f"visiontrain_tiny.trainer:{trainer}",
        "packages": ("visiontrain_tiny",),
    }
    return manifest.model_copy(update=changes)


@hookimpl
def register_frameworks(register: Callable[[Manifest], None]) -> None:
    """Stand in for timm and for Ultralytics."""
    register(stand_in(TIMM, "TinyTrainer", "environment"))
    register(stand_in(YOLO, "TinyFinder", "environment_yolo"))
