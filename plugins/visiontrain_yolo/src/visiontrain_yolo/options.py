"""Training options with their defaults, for the host's half and the trainer. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from visiontrain.errors import SpecError
from visiontrain_yolo.contradictions import refuse_contradictions

__all__ = ["AUGMENTATIONS", "GAINS", "OPTIMIZERS", "YoloOptions"]

#: Optimizers by the name that a person gives; what Ultralytics calls each.
OPTIMIZERS = {
    "auto": "auto",
    "sgd": "SGD",
    "musgd": "MuSGD",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
}

#: Options that Ultralytics' augmentation reads by the same names.
AUGMENTATIONS = (
    "hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr", "bgr",
    "mosaic", "mixup", "cutmix", "copy_paste",
)  # fmt: skip

#: Options that Ultralytics' losses read by the same names.
GAINS = ("box", "cls", "dfl", "pose", "kobj", "rle", "angle")

#: What changes neither the weights nor which of them are the best ones.
_NO_CONDITION = ("workers", "checkpoint_minutes", "patience")

#: What the optimizer's state, or the average's, is made for.
_IDENTITY = ("optimizer", "freeze", "ema_decay")

#: What Ultralytics' nominal batch is: the images whose gradients make one step.
_NOMINAL = 64

#: Steps that an epoch has at least, where it has the batches: of 300 images Ultralytics makes five, and learns little.
_STEPS = 20

_CLOSE_MOSAIC = 10


@dataclass(frozen=True)
class YoloOptions:
    """See `visiontrain_yolo.plugin` for what each one does, and its bounds. None: worked out."""

    optimizer: str = "auto"
    momentum: float | None = None
    weight_decay: float = 0.0005
    schedule: str = "linear"
    final_rate: float = 0.01
    warmup_epochs: float = 3.0
    warmup_momentum: float | None = None
    warmup_bias_lr: float | None = None
    accumulate: int | None = None
    clip_grad: float = 10.0
    ema_decay: float = 0.9999
    freeze: str = "none"
    box: float = 7.5
    cls: float = 0.5
    dfl: float = 1.5
    pose: float = 12.0
    kobj: float = 1.0
    rle: float = 1.0
    angle: float = 1.0
    class_weights_power: float = 0.0
    hsv_h: float = 0.015
    hsv_s: float = 0.7
    hsv_v: float = 0.4
    degrees: float = 0.0
    translate: float = 0.1
    scale: float = 0.5
    shear: float = 0.0
    perspective: float = 0.0
    flipud: float = 0.0
    fliplr: float = 0.5
    bgr: float = 0.0
    mosaic: float = 1.0
    mixup: float = 0.0
    cutmix: float = 0.0
    copy_paste: float = 0.0
    close_mosaic: int | None = None
    multi_scale: float = 0.0
    dropout: float = 0.0
    auto_augment: str = "randaugment"
    erasing: float = 0.4
    nms: bool = True
    iou: float = 0.7
    max_det: int = 300
    precision: str = "auto"
    patience: int = 0
    workers: int | None = None
    checkpoint_minutes: float = 10.0

    @classmethod
    def from_params(cls, options: Mapping[str, Any]) -> YoloOptions:
        """The options of a request; what it leaves out has its default.

        Raises:
            SpecError: there is no such option, or two options contradict each other.
        """
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise SpecError(name, f"is no option of yolo; there is {', '.join(known)}")
        given = cls(**options)
        if given.optimizer not in OPTIMIZERS:
            raise SpecError("optimizer", f"must be one of {', '.join(OPTIMIZERS)}, not {given.optimizer!r}")
        refuse_contradictions(given)
        return given

    @property
    def blends(self) -> bool:
        """Whether training images are made of several."""
        return max(self.mosaic, self.mixup, self.cutmix, self.copy_paste) > 0

    def first_closed_epoch(self, epochs: int) -> int:
        """The epoch, counted from 0, from which on training images are single ones; `epochs` where none is."""
        closing = _CLOSE_MOSAIC if self.close_mosaic is None else self.close_mosaic
        return max(0, epochs - closing) if closing and self.blends else epochs

    def accumulated(self, batch_size: int, batches: int) -> int:
        """Batches that make one step.

        Args:
            batch_size: Images of a batch.
            batches: Of an epoch.
        """
        usual = self.accumulate or max(1, min(round(_NOMINAL / batch_size), batches // _STEPS))
        return min(usual, batches)

    def scaled_weight_decay(self, batch_size: int, batches: int) -> float:
        """The weight decay for the images that make one step; arguments as for `accumulated`."""
        return self.weight_decay * batch_size * self.accumulated(batch_size, batches) / _NOMINAL

    def conditions(self) -> dict[str, Any]:
        """Those that a resumed run must share to be exact."""
        without = (*_NO_CONDITION, *_IDENTITY)
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in without}

    def identity(self) -> dict[str, Any]:
        """Those without which a run can't be resumed at all."""
        return {name: getattr(self, name) for name in _IDENTITY}
