"""The host's half: what visiontrain knows of softmax regression before anything runs."""

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
            name="softmax",
            summary="Softmax regression on the spectra of small grey images",
            licence="Apache-2.0",
            tasks=(Task.classify,),
            models=("softmax_regression",),
            options=(Option(name="decay", type="float", default=1e-4, minimum=0, maximum=1, help="Weight decay."),),
            defaults=Defaults(epochs=20, batch_size=32, image_size=16),
            environment=Path(__file__).parent / "environment",
            trainer="visiontrain_softmax.trainer:SoftmaxTrainer",
            packages=("visiontrain_softmax",),
        )
    )
