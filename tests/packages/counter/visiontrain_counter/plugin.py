"""The host's half."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Defaults, Manifest, Option
from visiontrain.protocol.tasks import Task


@hookimpl
def register_frameworks(register: Callable[[Manifest], None]) -> None:
    """Add the framework."""
    register(
        Manifest(
            name="counter",
            summary="Nothing is trained, and everything is reported",
            licence="Apache-2.0",
            tasks=(Task.classify,),
            aliases=("tally",),
            models=("count_*",),
            options=(
                Option(name="steps", type="int", default=3, minimum=1, help="Steps an epoch"),
                Option(name="pause", type="float", default=0.0, minimum=0, help="Seconds a step"),
                Option(name="fail_at", type="int", default=0, help="Raise at this step"),
            ),
            defaults=Defaults(epochs=2, batch_size=2),
            devices=("cpu",),
            export_formats=("text",),
            environment=Path(__file__).parent / "environment",
            trainer="visiontrain_counter.trainer:CountingTrainer",
            packages=("visiontrain_counter",),
        )
    )
