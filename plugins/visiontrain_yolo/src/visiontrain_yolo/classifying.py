"""Classification: Ultralytics' augmentation and models, torchkit's images and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from ultralytics.data.augment import classify_augmentations

from visiontrain.torchkit.classification.evaluation import ClassifierEvaluation
from visiontrain.torchkit.data import ImageBatch
from visiontrain.torchkit.transforms import ImageConfig, Normalize, Pixels
from visiontrain_yolo.options import YoloOptions

__all__ = ["ClassLearner", "TrainingImages", "class_image_config"]


def class_image_config(image_size: int) -> ImageConfig:
    """How Ultralytics' classifiers want their images: the shorter side resized, the middle of the longer one."""
    return ImageConfig((image_size, image_size), (0.0,) * 3, (1.0,) * 3, interpolation="bilinear", crop_pct=1.0)


class TrainingImages:
    """Ultralytics' augmentation for classifiers. Draws from the global generators: run it after `seed_sample`.

    Args:
        options: How much is changed.
        image_size: In pixels, both sides.
    """

    def __init__(self, options: YoloOptions, image_size: int) -> None:
        make: Any = classify_augmentations
        self._change: Any = make(
            size=image_size,
            scale=(1 - options.scale, 1.0),
            hflip=options.fliplr,
            vflip=options.flipud,
            erasing=options.erasing,
            auto_augment=None if options.auto_augment == "none" else options.auto_augment,
            hsv_h=options.hsv_h,
            hsv_s=options.hsv_s,
            hsv_v=options.hsv_v,
        )

    def decode_share(self, width: int, height: int) -> float:  # noqa: ARG002 - as `Transform` has it
        """1: Ultralytics decodes images whole."""
        return 1.0

    def __call__(self, image: Image.Image) -> Pixels:
        """uint8, (size, size, 3)."""
        values: torch.Tensor = self._change(image)  # from 0 to 1, made of bytes
        pixels: Pixels = (values * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return pixels


class ClassScores(nn.Module):
    """A classifier of Ultralytics that gives class scores whether it is set to training or not.

    Args:
        model: It.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (batch, 3, height, width) to (batch, classes)."""
        found: Any = self.model(images)
        scores: torch.Tensor = found[1] if isinstance(found, tuple) else found  # in evaluation probabilities come first
        return scores


class ClassLearner:
    """A classifier of Ultralytics as the training loop sees it.

    Args:
        model: On its device.
        classes: Class names by class index.
        device: The model's.
    """

    def __init__(self, model: nn.Module, classes: tuple[str, ...], device: torch.device) -> None:
        self.model, self._classes, self._device = model, classes, device
        self._scores = ClassScores(model)
        self._normalize = Normalize(class_image_config(1), device)

    def logits(self, batch: ImageBatch) -> torch.Tensor:
        """Class scores in float32, (batch, classes)."""
        scores: torch.Tensor = self._scores(self._normalize(batch.pixels))
        return scores.float()

    def losses(self, batch: ImageBatch, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """The batch's loss, as `Learner` wants it."""
        images = len(batch)
        for part in parts:
            own = (batch if len(parts) == 1 else batch.part(part)).to(self._device)
            yield functional.cross_entropy(self.logits(own), own.labels) * (len(own) / images)

    def evaluation(self) -> ClassifierEvaluation:
        """Begin a pass over the validation split."""
        return ClassifierEvaluation(self.logits, self._classes, self._device)
