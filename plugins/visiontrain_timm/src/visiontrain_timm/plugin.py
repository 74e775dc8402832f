"""timm's manifest: what the host knows of it. Imports neither timm nor torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Defaults, Manifest, Option
from visiontrain.protocol.tasks import Task
from visiontrain_timm.names import MODEL_PATTERNS
from visiontrain_timm.options import TimmOptions

__all__ = ["MANIFEST", "register_frameworks"]

_DEFAULT = TimmOptions()

_OPTIONS = (
    Option(
        name="weight_decay", type="float", default=_DEFAULT.weight_decay, minimum=0, maximum=1,
        help="AdamW's weight decay; biases and norms have none.",
    ),
    Option(
        name="warmup_epochs", type="float", default=_DEFAULT.warmup_epochs, minimum=0,
        help="Epochs until the learning rate is at its highest. By default a tenth of all, 5 at the most.",
    ),
    Option(
        name="label_smoothing", type="float", default=_DEFAULT.label_smoothing, minimum=0, maximum=0.9,
        help="Share of each training label that is spread over all classes.",
    ),
    Option(
        name="augmentation", type="str", default=_DEFAULT.augmentation, choices=("light", "none"),
        help="light: random crops that keep most of the image, and mirror images. none: as in validation.",
    ),
    Option(
        name="precision", type="str", default=_DEFAULT.precision, choices=("auto", "bf16", "fp32"),
        help="What the model computes in. auto: bf16 where the device has arithmetic for it, else fp32.",
    ),
    Option(
        name="clip_grad", type="float", default=_DEFAULT.clip_grad, minimum=0,
        help="Largest norm of the gradients of one step; 0 leaves them as they are.",
    ),
    Option(
        name="drop_rate", type="float", default=_DEFAULT.drop_rate, minimum=0, maximum=0.9,
        help="Dropout before the classifier.",
    ),
    Option(
        name="drop_path_rate", type="float", default=_DEFAULT.drop_path_rate, minimum=0, maximum=0.9,
        help="Stochastic depth: how often the last residual block is left out; earlier ones less.",
    ),
    Option(
        name="channels_last", type="bool", default=_DEFAULT.channels_last,
        help="Memory layout in which convolutions are faster on most devices.",
    ),
    Option(
        name="workers", type="int", default=_DEFAULT.workers, minimum=0, maximum=256,
        help="Processes that load images; 0 loads between the steps. By default as the processors allow.",
    ),
    Option(
        name="checkpoint_minutes", type="float", default=_DEFAULT.checkpoint_minutes, minimum=0,
        help="How often an epoch's state is written while it is under way; each epoch's end always is.",
    ),
)  # fmt: skip

MANIFEST = Manifest(
    name="timm",
    summary="Image classifiers: 1,300 architectures of PyTorch Image Models",
    licence="Apache-2.0",
    tasks=(Task.classify,),
    models=MODEL_PATTERNS,
    options=_OPTIONS,
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
