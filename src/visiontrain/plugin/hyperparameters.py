"""The declared options of trainers that are built on torchkit: names, bounds and help, by what a plugin trains."""

from __future__ import annotations

from collections.abc import Sequence

from visiontrain.hyperparameters.classification import ClassificationOptions
from visiontrain.hyperparameters.detection import DetectionOptions
from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.hyperparameters.training import TrainingOptions
from visiontrain.plugin.manifest import Option

__all__ = [
    "classification_options",
    "computing_options",
    "data_options",
    "detection_options",
    "freezing_option",
    "image_options",
    "learning_options",
    "running_options",
]

_DECAY = "By default as usual with the optimizer, 0.05 for adamw"


def learning_options(
    default: TrainingOptions, *, optimizers: tuple[str, ...], usual_decay: str = _DECAY, usual_clip: str = ""
) -> tuple[Option, ...]:
    """How weights are learned.

    Args:
        default: The plugin's defaults.
        optimizers: Names that the plugin has, of `visiontrain.hyperparameters.optimizers.OPTIMIZERS`.
        usual_decay: Says what `weight_decay` is by default.
        usual_clip: Says what `clip_grad` is by default, where that depends on the task; begins with a semicolon.
    """
    return (
        Option(
            name="optimizer", type="str", default=default.optimizer, choices=optimizers,
            help="What makes steps of gradients; the default learning rate and weight decay go with it.",
        ),
        Option(
            name="momentum", type="float", default=default.momentum, minimum=0, maximum=0.999,
            help="Of sgd (Nesterov's) and rmsprop; by default 0.9.",
        ),
        Option(
            name="beta1", type="float", default=default.beta1, minimum=0, maximum=0.9999,
            help="How much of the gradients' average stays at each step, of Adam's kind; by default 0.9.",
        ),
        Option(
            name="beta2", type="float", default=default.beta2, minimum=0, maximum=0.99999,
            help="How much of the squared gradients' average stays; by default 0.999, lion 0.99.",
        ),
        Option(
            name="weight_decay", type="float", default=default.weight_decay, minimum=0, maximum=1,
            help=f"{usual_decay}; biases and norms have none.",
        ),
        Option(
            name="layer_decay", type="float", default=default.layer_decay, minimum=0.1, maximum=1,
            help="What the learning rate is multiplied by from each layer to the one before it; 1: the same for all.",
        ),
        Option(
            name="schedule", type="str", default=default.schedule,
            choices=("cosine", "linear", "step", "multistep", "constant"),
            help="How the learning rate falls after warmup.",
        ),
        Option(
            name="warmup_epochs", type="float", default=default.warmup_epochs, minimum=0,
            help="Epochs until the learning rate is at its highest. By default a tenth of all, 5 at the most.",
        ),
        Option(
            name="final_rate", type="float", default=default.final_rate, minimum=0, maximum=1,
            help="Share of the highest learning rate that is left at the end, of cosine and linear; by default 0.01.",
        ),
        Option(
            name="decay_epochs", type="str", default=default.decay_epochs,
            help="step: after how many epochs each (by default a third of all); multistep: which ones, as 30,45.",
        ),
        Option(
            name="decay_factor", type="float", default=default.decay_factor, minimum=0.001, maximum=1,
            help="What step and multistep multiply the learning rate by; by default 0.1.",
        ),
        Option(
            name="accumulate", type="int", default=default.accumulate, minimum=1, maximum=4096,
            help="Batches that make one step together: as one large batch, in the memory of a small one.",
        ),
        Option(
            name="clip_grad", type="float", default=default.clip_grad, minimum=0,
            help=f"Largest norm of the gradients of one step; 0 leaves them as they are{usual_clip}.",
        ),
        Option(
            name="ema_decay", type="float", default=default.ema_decay, minimum=0, maximum=0.999999,
            help="Validate and keep a moving average of the weights, such as 0.9998; it warms up. 0: the weights.",
        ),
    )  # fmt: skip


def freezing_option(default: TrainingOptions) -> tuple[Option, ...]:
    """Which weights are."""
    return (
        Option(
            name="freeze", type="str", default=default.freeze,
            help="Parts that stay as they are: none, backbone, a number of stages, or names as conv1,layer*.0.",
        ),
    )  # fmt: skip


def data_options(default: ModelOptions, *, metrics: Sequence[str], usual_metric: str) -> tuple[Option, ...]:
    """What a model is shown, and what its answers count.

    Args:
        default: The plugin's defaults.
        metrics: What may pick the best epoch.
        usual_metric: A sentence that says what does by default.
    """
    return (
        Option(
            name="augmentation", type="str", default=default.augmentation,
            choices=("none", "light", "standard", "strong"),
            help="none: as in validation. light: crops that keep most of the image, and mirror images. "
            "standard: crops of any size, mirror images, colours. strong: more of all that; classifiers have "
            "RandAugment and erasing.",
        ),
        Option(
            name="class_weights", type="str", default=default.class_weights,
            help="What an image, of the task semantic a pixel, counts in the loss by its class: none, balanced (rare "
            "ones more), or as cat=2,dog=0.5.",
        ),
        Option(
            name="primary_metric", type="str", default=default.primary_metric, choices=tuple(metrics),
            help=f"What picks the best epoch. {usual_metric}",
        ),
    )  # fmt: skip


def classification_options(default: ClassificationOptions) -> tuple[Option, ...]:
    """What a classifier has of its own."""
    return (
        Option(
            name="label_smoothing", type="float", default=default.label_smoothing, minimum=0, maximum=0.9,
            help="Share of each training label that is spread over all classes.",
        ),
        Option(
            name="mixup", type="float", default=default.mixup, minimum=0, maximum=10,
            help="Blend each training image with another one; how evenly: 0.2 a little, 1 any share. 0: no.",
        ),
        Option(
            name="cutmix", type="float", default=default.cutmix, minimum=0, maximum=10,
            help="Put a piece of another training image into each; as mixup. With both, each batch has one of them.",
        ),
        Option(
            name="mix_probability", type="float", default=default.mix_probability, minimum=0, maximum=1,
            help="Share of the batches that mixup or cutmix changes; by default 1.",
        ),
        Option(
            name="balanced_sampling", type="bool", default=default.balanced_sampling,
            help="Train on each class as often as on the others; an epoch stays as long as it is.",
        ),
    )  # fmt: skip


def detection_options(default: DetectionOptions) -> tuple[Option, ...]:
    """What a detector has of its own."""
    return (
        Option(
            name="resize", type="str", default=default.resize, choices=("squash", "border"),
            help="squash: both sides of an image are resized to the model's size. border: it keeps its shape, and has "
            "a border right of it or below. By default the model's; an export needs squash.",
        ),
        Option(
            name="backbone_rate", type="float", default=default.backbone_rate, minimum=0, maximum=10,
            help="What the learning rate is multiplied by in the backbone of what detects or segments; by default 0.1, "
            "and 1 where it begins with random weights or layer_decay is below 1.",
        ),
    )  # fmt: skip


def image_options(default: ClassificationOptions) -> tuple[Option, ...]:
    """How a classifier wants its images."""
    return (
        Option(
            name="mean", type="str", default=default.mean,
            help="What is subtracted of pixels from 0 to 1: one number, or red,green,blue. By default the model's.",
        ),
        Option(
            name="std", type="str", default=default.std,
            help="What they are then divided by; likewise.",
        ),
        Option(
            name="interpolation", type="str", default=default.interpolation,
            choices=("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"),
            help="How images are resized. By default the model's.",
        ),
        Option(
            name="crop_pct", type="float", default=default.crop_pct, minimum=0.1, maximum=1,
            help="Share of the resized image's side that validation's crop in the middle keeps. "
            "By default the model's.",
        ),
    )  # fmt: skip


def running_options(default: TrainingOptions) -> tuple[Option, ...]:
    """How a training goes on."""
    return (
        Option(
            name="precision", type="str", default=default.precision, choices=("auto", "bf16", "fp32"),
            help="What the model computes in. auto: bf16 where the device has arithmetic for it, else fp32.",
        ),
        Option(
            name="patience", type="int", default=default.patience, minimum=0,
            help="End after so many epochs without a better primary metric; 0: never.",
        ),
        Option(
            name="workers", type="int", default=default.workers, minimum=0, maximum=256,
            help="Processes that load images; 0 loads between the steps. By default as the processors allow; on a CPU "
            "only where loading is slow.",
        ),
        Option(
            name="checkpoint_minutes", type="float", default=default.checkpoint_minutes, minimum=0,
            help="How often an epoch's state is written while it is under way; each epoch's end always is.",
        ),
    )  # fmt: skip


def computing_options(default: ModelOptions) -> tuple[Option, ...]:
    """How a model computes."""
    return (
        Option(
            name="channels_last", type="bool", default=default.channels_last,
            help="Memory layout in which convolutions are faster on most devices.",
        ),
        Option(
            name="compile", type="bool", default=default.compile,
            help="Compile the model with torch.compile: a minute or more at first, then faster with most models.",
        ),
    )  # fmt: skip
