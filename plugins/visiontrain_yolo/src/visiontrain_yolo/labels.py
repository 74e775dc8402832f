"""An image's objects as Ultralytics' augmentation takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visiontrain.datasets.index import Image
from visiontrain.datasets.objects import Object

__all__ = ["label_of"]


def label_of(image: Image, *, classes: int, train: bool) -> dict[str, Any]:
    """What Ultralytics' datasets hold of an image.

    Args:
        image: Of the index.
        classes: How many there are.
        train: Leave out what is not trained on, which is what stands for several objects. Otherwise what an evaluation
            passes over has its class counted from `classes` on.
    """
    objects = [found for found in image.objects if not (train and found.crowd)]
    boxes = np.array([found.box for found in objects], dtype=np.float64).reshape(-1, 4)
    size = np.array([image.width, image.height], dtype=np.float64)
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2 / size, (boxes[:, 2:] - boxes[:, :2]) / size
    return {
        "im_file": image.path,
        "cls": _classes(objects, classes, train=train),
        "bboxes": np.concatenate([centres, sides], axis=1).astype(np.float32),
        "segments": [],
        "keypoints": None,
        "normalized": True,
        "bbox_format": "xywh",
    }


def _classes(objects: Sequence[Object], classes: int, *, train: bool) -> np.ndarray[Any, np.dtype[np.float32]]:
    labels = [found.label + classes * (found.ignored and not train) for found in objects]
    return np.array(labels, dtype=np.float32).reshape(-1, 1)
