"""timm's manifest: what the host knows of it. Imports neither timm nor torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Defaults, Manifest, Option, OptionValue
from visiontrain.protocol.tasks import Task
from visiontrain_timm.names import MODEL_PATTERNS
from visiontrain_timm.optimizers import OPTIMIZERS
from visiontrain_timm.options import TimmOptions

__all__ = ["MANIFEST", "register_frameworks"]

_DEFAULT = TimmOptions()

_LEARNING = (
    Option(
        name="optimizer", type="str", default=_DEFAULT.optimizer, choices=tuple(OPTIMIZERS),
        help="What makes steps of gradients; the default learning rate and weight decay go with it.",
    ),
    Option(
        name="momentum", type="float", default=_DEFAULT.momentum, minimum=0, maximum=0.999,
        help="Of sgd (Nesterov's) and rmsprop; by default 0.9.",
    ),
    Option(
        name="beta1", type="float", default=_DEFAULT.beta1, minimum=0, maximum=0.9999,
        help="How much of the gradients' average stays at each step, of Adam's kind; by default 0.9.",
    ),
    Option(
        name="beta2", type="float", default=_DEFAULT.beta2, minimum=0, maximum=0.99999,
        help="How much of the squared gradients' average stays; by default 0.999, lion 0.99.",
    ),
    Option(
        name="weight_decay", type="float", default=_DEFAULT.weight_decay, minimum=0, maximum=1,
        help="By default as usual with the optimizer, 0.05 for adamw; biases and norms have none.",
    ),
    Option(
        name="layer_decay", type="float", default=_DEFAULT.layer_decay, minimum=0.1, maximum=1,
        help="What the learning rate is multiplied by from each layer to the one before it; 1: the same for all.",
    ),
    Option(
        name="schedule", type="str", default=_DEFAULT.schedule,
        choices=("cosine", "linear", "step", "multistep", "constant"),
        help="How the learning rate falls after warmup.",
    ),
    Option(
        name="warmup_epochs", type="float", default=_DEFAULT.warmup_epochs, minimum=0,
        help="Epochs until the learning rate is at its highest. By default a tenth of all, 5 at the most.",
    ),
    Option(
        name="final_rate", type="float", default=_DEFAULT.final_rate, minimum=0, maximum=1,
        help="Share of the highest learning rate that is left at the end, of cosine and linear; by default 0.01.",
    ),
    Option(
        name="decay_epochs", type="str", default=_DEFAULT.decay_epochs,
        help="step: after how many epochs each (by default a third of all); multistep: which ones, as 30,45.",
    ),
    Option(
        name="decay_factor", type="float", default=_DEFAULT.decay_factor, minimum=0.001, maximum=1,
        help="What step and multistep multiply the learning rate by; by default 0.1.",
    ),
    Option(
        name="accumulate", type="int", default=_DEFAULT.accumulate, minimum=1, maximum=4096,
        help="Batches that make one step together: as one large batch, in the memory of a small one.",
    ),
    Option(
        name="clip_grad", type="float", default=_DEFAULT.clip_grad, minimum=0,
        help="Largest norm of the gradients of one step; 0 leaves them as they are.",
    ),
    Option(
        name="ema_decay", type="float", default=_DEFAULT.ema_decay, minimum=0, maximum=0.999999,
        help="Validate and keep a moving average of the weights, such as 0.9998; it warms up. 0: the weights.",
    ),
)  # fmt: skip

_REGULARISATION = (
    Option(
        name="label_smoothing", type="float", default=_DEFAULT.label_smoothing, minimum=0, maximum=0.9,
        help="Share of each training label that is spread over all classes.",
    ),
    Option(
        name="mixup", type="float", default=_DEFAULT.mixup, minimum=0, maximum=10,
        help="Blend each training image with another one; how evenly: 0.2 a little, 1 any share. 0: no.",
    ),
    Option(
        name="cutmix", type="float", default=_DEFAULT.cutmix, minimum=0, maximum=10,
        help="Put a piece of another training image into each; as mixup. With both, each batch has one of them.",
    ),
    Option(
        name="mix_probability", type="float", default=_DEFAULT.mix_probability, minimum=0, maximum=1,
        help="Share of the batches that mixup or cutmix changes; by default 1.",
    ),
    Option(
        name="augmentation", type="str", default=_DEFAULT.augmentation, choices=("none", "light", "standard", "strong"),
        help="none: as in validation. light: crops that keep most of the image, and mirror images. "
        "standard: crops of any size, mirror images, colours. strong: crops, mirror images, RandAugment, erasing.",
    ),
    Option(
        name="class_weights", type="str", default=_DEFAULT.class_weights,
        help="What an image counts in the loss, by class: none, balanced (rare ones more), or as cat=2,dog=0.5.",
    ),
    Option(
        name="balanced_sampling", type="bool", default=_DEFAULT.balanced_sampling,
        help="Train on each class as often as on the others; an epoch stays as long as it is.",
    ),
    Option(
        name="freeze", type="str", default=_DEFAULT.freeze,
        help="Parts that stay as they are: none, backbone, a number of stages, or names as conv1,layer*.0.",
    ),
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

_IMAGES = (
    Option(
        name="mean", type="str", default=_DEFAULT.mean,
        help="What is subtracted of pixels from 0 to 1: one number, or red,green,blue. By default the model's.",
    ),
    Option(
        name="std", type="str", default=_DEFAULT.std,
        help="What they are then divided by; likewise.",
    ),
    Option(
        name="interpolation", type="str", default=_DEFAULT.interpolation,
        choices=("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"),
        help="How images are resized. By default the model's.",
    ),
    Option(
        name="crop_pct", type="float", default=_DEFAULT.crop_pct, minimum=0.1, maximum=1,
        help="Share of the resized image's side that validation's crop in the middle keeps. By default the model's.",
    ),
)  # fmt: skip

_RUNNING = (
    Option(
        name="precision", type="str", default=_DEFAULT.precision, choices=("auto", "bf16", "fp32"),
        help="What the model computes in. auto: bf16 where the device has arithmetic for it, else fp32.",
    ),
    Option(
        name="channels_last", type="bool", default=_DEFAULT.channels_last,
        help="Memory layout in which convolutions are faster on most devices.",
    ),
    Option(
        name="compile", type="bool", default=_DEFAULT.compile,
        help="Compile the model with torch.compile: a minute or more at first, then faster with most models.",
    ),
    Option(
        name="primary_metric", type="str", default=_DEFAULT.primary_metric,
        choices=(
            "accuracy", "accuracy_top5", "map", "f1_macro", "f1_weighted", "precision_macro", "recall_macro",
            "val_loss",
        ),
        help="What picks the best epoch. By default accuracy, and map where images have several labels.",
    ),
    Option(
        name="patience", type="int", default=_DEFAULT.patience, minimum=0,
        help="End after so many epochs without a better primary metric; 0: never.",
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

_OPTIONS = (*_LEARNING, *_REGULARISATION, *_IMAGES, *_RUNNING)


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
    options=_OPTIONS,
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
