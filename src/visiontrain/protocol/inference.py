"""What evaluate, predict and export ask for and give back. Paths are absolute where nothing else is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "ClassMapPrediction",
    "ClassifyPrediction",
    "EvaluateParams",
    "EvaluateResult",
    "ExportParams",
    "ExportResult",
    "ImagePrediction",
    "ImageSource",
    "KeypointPrediction",
    "MaskRuns",
    "ObjectPrediction",
    "PredictParams",
    "PredictResult",
    "RawPixels",
]


@dataclass(frozen=True)
class EvaluateParams:
    """What the ``evaluate`` request asks for.

    `dataset` is the path of an index, whose classes may be fewer than the checkpoint's, and in another order: names
    decide. `splits` are taken together. `options` are the training's.
    """

    run_id: str
    run_dir: str
    task: str
    model: str
    checkpoint: str
    dataset: str
    splits: tuple[str, ...]
    batch_size: int
    device: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluateResult:
    """The answer to ``evaluate``: metrics by canonical name, over all images of the splits.

    On the pipe null stands for what is not finite, and `non_finite` says what it was.
    """

    status: Literal["completed", "stopped"]
    metrics: dict[str, float | None] = field(default_factory=dict)
    non_finite: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RawPixels:
    """Pixels within a file: rows from the top, without padding, `mode` as Pillow names it (L, RGB, RGBA)."""

    mode: str
    width: int
    height: int
    offset: int  # in bytes


@dataclass(frozen=True)
class ImageSource:
    """An image: a file that Pillow can open, or raw pixels in one, so that images do not ride the pipe."""

    path: str
    raw: RawPixels | None = None


@dataclass(frozen=True)
class PredictParams:
    """What the ``predict`` request asks for. The trainer keeps the model for the next request of the same kind.

    `batch_size` is how many images are computed at once, at the most. Objects of a score below `confidence` (from 0 to
    1) are left out; classifiers have no use for it. `options` are the training's.
    """

    task: str
    model: str
    checkpoint: str
    images: tuple[ImageSource, ...]
    batch_size: int
    device: str
    confidence: float
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassifyPrediction:
    """Probabilities from 0 to 1 by class index. They add up to 1, unless an image may have several labels."""

    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class ClassMapPrediction:
    """The class index of each pixel of an image as it is shown: a grey PNG of 8 or 16 bits in base64.

    `visiontrain.worker.class_maps` makes one.
    """

    png: str


@dataclass(frozen=True)
class MaskRuns:
    """Pixels of an image as COCO's compressed runs: down each column from the left, `data` in COCO's ASCII letters."""

    height: int
    width: int
    data: str


@dataclass(frozen=True)
class KeypointPrediction:
    """A point of an object, in pixels of the image as it is shown. `score` is from 0 to 1."""

    x: float
    y: float
    score: float


@dataclass(frozen=True)
class ObjectPrediction:
    """One object that was found, in pixels of the image as it is shown, from its top left corner.

    `label` is the class index, `score` from 0 to 1. `box` is left, top, right, bottom, inside of the image. `mask`, of
    the image's size, is the task segment's, `keypoints` are pose's, `quad` is obb's: four corners, x and y in turn, in
    order around the turned box, which may reach out of the image. An object has what its task has, and nothing else.
    """

    label: int
    score: float
    box: tuple[float, float, float, float]
    mask: MaskRuns | None = None
    keypoints: tuple[KeypointPrediction, ...] = ()
    quad: tuple[float, float, float, float, float, float, float, float] | None = None


@dataclass(frozen=True)
class ImagePrediction:
    """What was found in one image. `width` and `height` are in pixels, as it is shown; `error` is why it can't be read.

    Of the others, the field of the request's task is set: `classify`, or `objects`, the best first, for detect,
    segment, pose and obb, or `class_map` for semantic.
    """

    width: int = 0
    height: int = 0
    error: str | None = None
    classify: ClassifyPrediction | None = None
    objects: tuple[ObjectPrediction, ...] | None = None
    class_map: ClassMapPrediction | None = None


@dataclass(frozen=True)
class PredictResult:
    """The answer to ``predict``: the checkpoint's class names by class index, and a prediction an image, in order.

    `keypoints` names those of the task pose, and `edges` says which of them belong together, counted from 0. `left_out`
    is how many of the last images have no prediction, because a line has no room for all objects and class maps: the
    host asks for them again. The worker's own half of visiontrain sets it; a trainer leaves it alone.
    """

    classes: tuple[str, ...]
    multi_label: bool
    predictions: tuple[ImagePrediction, ...]
    keypoints: tuple[str, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class ExportParams:
    """What the ``export`` request asks for: files in the run's ``artifacts`` folder.

    `dataset` is the path of an index; the first `images` of its `split` are what the exported model is compared on.
    `tolerance` is the largest difference that is let pass. `options` are the training's.
    """

    run_id: str
    run_dir: str
    task: str
    model: str
    checkpoint: str
    format: str
    dataset: str
    split: str
    images: int
    tolerance: float
    options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"


@dataclass(frozen=True)
class ExportResult:
    """The answer to ``export``. `metrics` has ``export_difference``, the largest difference between the two outputs."""

    status: Literal["completed", "stopped"]
    metrics: dict[str, float | None] = field(default_factory=dict)
    non_finite: dict[str, str] = field(default_factory=dict)
