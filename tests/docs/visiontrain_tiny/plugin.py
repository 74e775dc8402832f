"""timm's own manifest, with another trainer and an empty environment: examples are checked against the real options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Manifest
from visiontrain_timm.plugin import MANIFEST

TINY = MANIFEST.model_copy(
    update={
        "environment": Path(__file__).parent / "environment",
        "trainer": "visiontrain_tiny.trainer:TinyTrainer",
        "packages": ("visiontrain_tiny",),
    }
)


@hookimpl
def register_frameworks(register: Callable[[Manifest], None]) -> None:
    """Stand in for timm."""
    register(TINY)
