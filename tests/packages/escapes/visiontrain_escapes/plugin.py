"""The host's half."""

from __future__ import annotations

from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Manifest, Option
from visiontrain.protocol.tasks import Task
from visiontrain_escapes.texts import HOSTILE


@hookimpl
def register_frameworks(register):
    register(
        Manifest(
            name="escapes",
            summary=f"summary {HOSTILE}",
            licence=f"licence {HOSTILE}",
            tasks=(Task.classify,),
            models=("escape_*",),
            options=(Option(name="text", type="str", default=HOSTILE, help=f"help {HOSTILE}"),),
            environment=Path(__file__).parent / "environment",
            trainer="visiontrain_escapes.trainer:EscapingTrainer",
            packages=("visiontrain_escapes",),
        )
    )
