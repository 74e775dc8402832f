from __future__ import annotations

from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Manifest
from visiontrain.protocol.tasks import Task


@hookimpl
def register_frameworks(register):
    register(
        Manifest(
            name="homeless",
            summary="Broken",
            licence="Apache-2.0",
            tasks=(Task.classify,),
            models=("homeless_*",),
            environment=Path(__file__).parent,
            trainer="m:C",
            packages=("visiontrain_no_environment",),
        )
    )
