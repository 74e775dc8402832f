"""Ultralytics' manifest: what the host knows of it. Imports neither ultralytics nor torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from visiontrain.plugin.hookspecs import hookimpl
from visiontrain.plugin.manifest import Defaults, Manifest, Option, OptionValue
from visiontrain.protocol.tasks import Task
from visiontrain_yolo.names import MODEL_PATTERNS
from visiontrain_yolo.options import OPTIMIZERS, YoloOptions

__all__ = ["MANIFEST", "register_frameworks"]

_DEFAULT = YoloOptions()

_LEARNING = (
    Option(
        name="optimizer", type="str", default=_DEFAULT.optimizer, choices=tuple(OPTIMIZERS),
        help="What makes steps of gradients. auto: musgd for more than 10,000 steps, else adamw; the default learning "
        "rate goes with it.",
    ),
    Option(
        name="momentum", type="float", default=_DEFAULT.momentum, minimum=0, maximum=0.999,
        help="Of sgd, musgd and rmsprop; beta1 of Adam's kind. By default 0.937, with auto 0.9.",
    ),
    Option(
        name="weight_decay", type="float", default=_DEFAULT.weight_decay, minimum=0, maximum=1,
        help="For 64 images a step; scaled with how many there are. Biases and norms have none.",
    ),
    Option(
        name="schedule", type="str", default=_DEFAULT.schedule, choices=("linear", "cosine"),
        help="How the learning rate falls after warmup, epoch by epoch.",
    ),
    Option(
        name="final_rate", type="float", default=_DEFAULT.final_rate, minimum=0, maximum=1,
        help="Share of the learning rate that is left at the end.",
    ),
    Option(
        name="warmup_epochs", type="float", default=_DEFAULT.warmup_epochs, minimum=0,
        help="Epochs until the learning rate is at its highest; fewer than all of them.",
    ),
    Option(
        name="warmup_momentum", type="float", default=_DEFAULT.warmup_momentum, minimum=0, maximum=0.999,
        help="Momentum that warmup begins with; by default 0.8.",
    ),
    Option(
        name="warmup_bias_lr", type="float", default=_DEFAULT.warmup_bias_lr, minimum=0, maximum=1,
        help="Learning rate of biases that warmup begins with; by default 0.1, with auto 0.",
    ),
    Option(
        name="accumulate", type="int", default=_DEFAULT.accumulate, minimum=1, maximum=4096,
        help="Batches that make one step together. By default as many as have 64 images, but an epoch has 20 steps "
        "where it can; fewer during warmup.",
    ),
    Option(
        name="clip_grad", type="float", default=_DEFAULT.clip_grad, minimum=0,
        help="Largest norm of the gradients of one step; 0 leaves them as they are.",
    ),
    Option(
        name="ema_decay", type="float", default=_DEFAULT.ema_decay, minimum=0, maximum=0.999999,
        help="Validate and keep a moving average of the weights; it warms up. 0: the weights.",
    ),
    Option(
        name="freeze", type="str", default=_DEFAULT.freeze,
        help="Layers that stay as they are: none, a number of them from the image on, or their numbers as 0,1,2.",
    ),
)  # fmt: skip

_LOSSES = (
    Option(name="box", type="float", default=_DEFAULT.box, minimum=0, help="What the boxes' loss counts."),
    Option(name="cls", type="float", default=_DEFAULT.cls, minimum=0, help="What the classes' loss counts."),
    Option(
        name="dfl", type="float", default=_DEFAULT.dfl, minimum=0,
        help="What the loss of the distances to a box's sides counts.",
    ),
    Option(
        name="pose", type="float", default=_DEFAULT.pose, minimum=0,
        help="Of pose: what the loss of where keypoints are counts.",
    ),
    Option(
        name="kobj", type="float", default=_DEFAULT.kobj, minimum=0,
        help="Of pose: what the loss of which keypoints are there counts.",
    ),
    Option(
        name="rle", type="float", default=_DEFAULT.rle, minimum=0,
        help="Of YOLO26's pose: what the loss of how sure a keypoint's place is counts.",
    ),
    Option(
        name="angle", type="float", default=_DEFAULT.angle, minimum=0,
        help="Of obb: what the loss of how boxes are turned counts.",
    ),
    Option(
        name="class_weights_power", type="float", default=_DEFAULT.class_weights_power, minimum=0, maximum=1,
        help="How much more rare classes count in the loss: 0 the same, 1 as they are rarer.",
    ),
)  # fmt: skip


def _share(name: str, text: str) -> Option:
    return Option(
        name=name, type="float", default=getattr(_DEFAULT, name), minimum=0, maximum=1,
        help=text,
    )  # fmt: skip


_AUGMENTATION = (
    _share("hsv_h", "Largest change of training images' hue, as a share of all hues."),
    _share("hsv_s", "Largest change of their saturation."),
    _share("hsv_v", "Largest change of their brightness."),
    Option(
        name="degrees", type="float", default=_DEFAULT.degrees, minimum=0, maximum=180,
        help="Largest turn, in degrees.",
    ),
    _share("translate", "Largest shift, as a share of the image's sides."),
    _share("scale", "Largest change of size, as a share of it."),
    Option(
        name="shear", type="float", default=_DEFAULT.shear, minimum=0, maximum=89,
        help="Largest shear, in degrees.",
    ),
    Option(
        name="perspective", type="float", default=_DEFAULT.perspective, minimum=0, maximum=0.001,
        help="Largest change of perspective.",
    ),
    _share("flipud", "How often an image is turned upside down."),
    _share("fliplr", "How often an image is mirrored."),
    _share("bgr", "How often red and blue change places."),
    _share("mosaic", "How often four images are put together to one."),
    _share("mixup", "How often two of them are blended."),
    _share("cutmix", "How often a piece of another one is put into it."),
    _share("copy_paste", "Of segment and obb: share of the objects that are put into it once more, mirrored."),
    Option(
        name="close_mosaic", type="int", default=_DEFAULT.close_mosaic, minimum=0,
        help="Epochs at the end in which training images are single ones; by default 10. 0: none.",
    ),
    Option(
        name="multi_scale", type="float", default=_DEFAULT.multi_scale, minimum=0, maximum=0.9,
        help="Largest change of the image size from batch to batch, as a share of it.",
    ),
)  # fmt: skip

_CLASSIFIERS = (
    Option(
        name="dropout", type="float", default=_DEFAULT.dropout, minimum=0, maximum=0.9,
        help="Of classifiers: dropout before the last layer.",
    ),
    Option(
        name="auto_augment", type="str", default=_DEFAULT.auto_augment,
        choices=("none", "randaugment", "autoaugment", "augmix"),
        help="Of classifiers: how training images are changed beside crops and mirror images; with none, by "
        "hsv_h, hsv_s and hsv_v.",
    ),
    _share("erasing", "Of classifiers: how often a box of an image is made black."),
)  # fmt: skip

_RUNNING = (
    Option(
        name="nms", type="bool", default=_DEFAULT.nms,
        help="Of YOLO26: of boxes that overlap keep the best one (non-maximum suppression); false: use its other head, "
        "which finds each object once.",
    ),
    Option(
        name="iou", type="float", default=_DEFAULT.iou, minimum=0, maximum=1,
        help="Of two boxes of a class that overlap more than this (intersection over union), the better one is kept.",
    ),
    Option(
        name="max_det", type="int", default=_DEFAULT.max_det, minimum=1, maximum=30000,
        help="Objects that are found in an image at the most.",
    ),
    Option(
        name="precision", type="str", default=_DEFAULT.precision, choices=("auto", "bf16", "fp32"),
        help="What the model computes in. auto: bf16 where the device has arithmetic for it, else fp32.",
    ),
    Option(
        name="patience", type="int", default=_DEFAULT.patience, minimum=0,
        help="End after so many epochs without a better map50_95 (of classifiers: accuracy); 0: never.",
    ),
    Option(
        name="workers", type="int", default=_DEFAULT.workers, minimum=0, maximum=256,
        help="Processes that load images; 0 loads between the steps. By default as the processors allow; on a CPU only "
        "where loading is slow.",
    ),
    Option(
        name="checkpoint_minutes", type="float", default=_DEFAULT.checkpoint_minutes, minimum=0,
        help="How often an epoch's state is written while it is under way; each epoch's end always is.",
    ),
)  # fmt: skip


def _check_options(options: Mapping[str, OptionValue | None]) -> None:
    """Refuse options that contradict each other.

    Raises:
        SpecError: names the option, and what to do.
    """
    YoloOptions.from_params(options)


MANIFEST = Manifest(
    name="yolo",
    summary="Detection, segmentation, poses, turned boxes and classes: YOLO26, 12, 11, v8 and RT-DETR",
    licence="AGPL-3.0-or-later",
    tasks=(Task.detect, Task.segment, Task.pose, Task.obb, Task.classify),
    aliases=("ultralytics",),
    models=MODEL_PATTERNS,
    export_formats=("onnx", "torchscript", "openvino"),
    options=(*_LEARNING, *_LOSSES, *_AUGMENTATION, *_CLASSIFIERS, *_RUNNING),
    check_options=_check_options,
    defaults=Defaults(epochs=100, batch_size=16),
    environment=Path(__file__).parent / "environment",
    trainer="visiontrain_yolo.trainer:YoloTrainer",
    packages=("visiontrain_yolo",),
    variables=("YOLO_OFFLINE",),  # whether published weights may be fetched
)


@hookimpl
def register_frameworks(register: Callable[[Manifest], None]) -> None:
    """Add Ultralytics."""
    register(MANIFEST)
