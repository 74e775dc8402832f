"""The manifest of Hugging Face transformers: what the host knows of it. Imports neither transformers nor torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from visiontrain.hyperparameters.classification import CLASSIFICATION_METRICS
from visiontrain.hyperparameters.detection import DETECTION_METRICS
from visiontrain.hyperparameters.semantic import SEMANTIC_METRICS
from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.hyperparameters import (
    classification_options,
    computing_options,
    data_options,
    detection_options,
    freezing_option,
    image_options,
    learning_options,
    running_options,
)
from visiontrain.plugin.manifest import Defaults, Manifest, Option, OptionValue
from visiontrain.protocol.tasks import Task
from visiontrain_hf.names import MODEL_PATTERNS
from visiontrain_hf.options import OPTIMIZERS, HfOptions

__all__ = ["MANIFEST", "register_frameworks"]

_DEFAULT = HfOptions()

_OWN = (
    Option(
        name="activation_checkpointing", type="bool", default=_DEFAULT.activation_checkpointing,
        help="Compute parts of the forward pass again rather than keep them: less memory, a third more time.",
    ),
    Option(
        name="lora_rank", type="int", default=_DEFAULT.lora_rank, minimum=0, maximum=1024,
        help="Train low-rank additions to weights (LoRA) of this rank, and the heads; all else stays. 0: no.",
    ),
    Option(
        name="lora_alpha", type="int", default=_DEFAULT.lora_alpha, minimum=1, maximum=10000,
        help="What LoRA's additions count, divided by the rank; by default twice the rank.",
    ),
    Option(
        name="lora_targets", type="str", default=_DEFAULT.lora_targets,
        help="Names of the layers that get LoRA's additions, with commas between them. By default every linear layer "
        "of the backbone.",
    ),
    Option(
        name="custom_code", type="str", default=_DEFAULT.custom_code,
        help="Name of the model, on the hub or its folder, once more: Python code that it brings is then run here, "
        "with your rights. Without it such a model is refused.",
    ),
)  # fmt: skip


def _check_options(options: Mapping[str, OptionValue | None]) -> None:
    """Refuse options that contradict each other, and texts that can't be read.

    Raises:
        SpecError: names the option, and what to do.
    """
    HfOptions.from_params(options)


MANIFEST = Manifest(
    name="hf",
    summary="Hugging Face transformers: ViT, Swin, ConvNeXt, DINOv2... classify; RT-DETR, D-FINE and DETR detect; "
    "SegFormer and UPerNet segment by class; Mask2Former segments instances",
    licence="Apache-2.0",
    tasks=(Task.classify, Task.detect, Task.segment, Task.semantic),
    multi_label=True,
    auto_batch_size=True,
    aliases=("transformers", "huggingface"),
    models=MODEL_PATTERNS,
    export_formats=("onnx", "torchscript"),
    options=(
        *learning_options(
            _DEFAULT,
            optimizers=OPTIMIZERS,
            usual_decay="By default as usual with the optimizer, 0.05 for adamw; 1e-4 of a detector",
            usual_clip="; by default 0.1 of a detector, 0.01 of Mask2Former, else 0",
        ),
        *data_options(
            _DEFAULT,
            metrics=tuple(dict.fromkeys((*CLASSIFICATION_METRICS, *DETECTION_METRICS, *SEMANTIC_METRICS))),
            usual_metric="By default the task's: accuracy (map where images have several labels), map50_95, miou.",
        ),
        *classification_options(_DEFAULT),
        *detection_options(_DEFAULT),
        *freezing_option(_DEFAULT),
        *_OWN,
        *image_options(_DEFAULT),
        *computing_options(_DEFAULT),
        *running_options(_DEFAULT),
    ),
    check_options=_check_options,
    defaults=Defaults(epochs=20, batch_size=32),
    environment=Path(__file__).parent / "environment",
    trainer="visiontrain_hf.trainer:HfTrainer",
    packages=("visiontrain_hf",),
    # Where published weights come from, and whether they may; a token reaches the worker only by passthrough.
    variables=("HF_HUB_OFFLINE", "HF_ENDPOINT"),
)


@hookimpl
def register_frameworks(register: Callable[[Manifest], None]) -> None:
    """Add transformers."""
    register(MANIFEST)
