"""timm's manifest: what the host knows of it. Imports neither timm nor torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from visiontrain.hyperparameters.classification import CLASSIFICATION_METRICS
from visiontrain.hyperparameters.optimizers import OPTIMIZERS
from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.hyperparameters import (
    classification_options,
    computing_options,
    data_options,
    freezing_option,
    image_options,
    learning_options,
    running_options,
)
from visiontrain.plugin.manifest import Defaults, Manifest, Option, OptionValue
from visiontrain.protocol.tasks import Task
from visiontrain_timm.names import MODEL_PATTERNS
from visiontrain_timm.options import TimmOptions

__all__ = ["MANIFEST", "register_frameworks"]

_DEFAULT = TimmOptions()

_OWN = (
    Option(
        name="drop_rate", type="float", default=_DEFAULT.drop_rate, minimum=0, maximum=0.9,
        help="Dropout before the classifier. By default the model's, which is mostly 0.",
    ),
    Option(
        name="drop_path_rate", type="float", default=_DEFAULT.drop_path_rate, minimum=0, maximum=0.9,
        help="Stochastic depth: how often the last residual block is left out; earlier ones less. "
        "By default the model's, which is mostly 0; swin's is 0.1.",
    ),
)  # fmt: skip


def _check_options(options: Mapping[str, OptionValue | None]) -> None:
    """Refuse options that contradict each other, and texts that can't be read.

    Raises:
        SpecError: names the option, and what to do.
    """
    TimmOptions.from_params(options)


MANIFEST = Manifest(
    name="timm",
    summary="Image classifiers: 1,300 architectures of PyTorch Image Models",
    licence="Apache-2.0",
    tasks=(Task.classify,),
    multi_label=True,
    auto_batch_size=True,
    models=MODEL_PATTERNS,
    export_formats=("onnx", "torchscript"),
    options=(
        *learning_options(_DEFAULT, optimizers=tuple(OPTIMIZERS)),
        *data_options(
            _DEFAULT,
            metrics=CLASSIFICATION_METRICS,
            usual_metric="By default accuracy, and map where images have several labels.",
        ),
        *classification_options(_DEFAULT),
        *freezing_option(_DEFAULT),
        *image_options(_DEFAULT),
        *_OWN,
        *computing_options(_DEFAULT),
        *running_options(_DEFAULT),
    ),
    check_options=_check_options,
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
