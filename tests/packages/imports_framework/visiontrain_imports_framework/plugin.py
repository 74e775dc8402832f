"""The host's half, which imports the framework to ask it for its version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import heavy_framework

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Manifest
from visiontrain.protocol.tasks import Task


@hookimpl
def register_frameworks(register: Callable[[Manifest], None]) -> None:
    register(
        Manifest(
            name="imports_framework",
            summary=heavy_framework.__doc__,
            licence="Apache-2.0",
            tasks=(Task.classify,),
            models=("heavy",),
            environment=Path(__file__).parent / "environment",
            trainer="heavy_framework:Trainer",
            packages=("visiontrain_imports_framework",),
        )
    )
