"""timm's manifest: what the host knows of it. Imports neither timm nor torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Defaults, Manifest
from visiontrain.protocol.tasks import Task
from visiontrain_timm.declarations import OPTIONS, check_options
from visiontrain_timm.names import MODEL_PATTERNS

__all__ = ["MANIFEST", "register_frameworks"]

MANIFEST = Manifest(
    name="timm",
    summary="Image classifiers: 1,300 architectures of PyTorch Image Models",
    licence="Apache-2.0",
    tasks=(Task.classify,),
    multi_label=True,
    models=MODEL_PATTERNS,
    options=OPTIONS,
    check_options=check_options,
    defaults=Defaults(epochs=20, batch_size=32),
    environment=Path(__file__).parent / "environment",
    trainer="visiontrain_timm.trainer:TimmTrainer",
    packages=("visiontrain_timm",),
    # Where published weights come from, and whether they may; a token reaches the worker only by passthrough.
    variables=("HF_HUB_OFFLINE", "HF_ENDPOINT"),
)


@hookimpl
def register_frameworks(register: Callable[[Manifest], None]) -> None:
    """Add timm."""
    register(MANIFEST)
