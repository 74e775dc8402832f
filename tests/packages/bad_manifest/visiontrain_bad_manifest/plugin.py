from __future__ import annotations

from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Manifest
from visiontrain.protocol.tasks import Task


@hookimpl
def register_frameworks(register):
    register(
        Manifest(
            name="Bad Name",
            summary="Broken",
            licence="Apache-2.0",
            tasks=(Task.classify,),
            models=("bad_*",),
            environment=Path(__file__).parent,
            trainer="no class",
            packages=("visiontrain_bad_manifest",),
        )
    )
