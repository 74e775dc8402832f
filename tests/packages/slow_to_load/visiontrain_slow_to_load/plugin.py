"""The host's half."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Manifest
from visiontrain.protocol.tasks import Task


@hookimpl
def register_frameworks(register: Callable[[Manifest], None]) -> None:
    """Add the framework."""
    register(
        Manifest(
            name="slow_to_load",
            summary="Nothing is trained, ever",
            licence="Apache-2.0",
            tasks=(Task.classify,),
            models=("slow_*",),
            environment=Path(__file__).parent / "environment",
            trainer="visiontrain_slow_to_load.trainer:SlowTrainer",
            packages=("visiontrain_slow_to_load",),
        )
    )
