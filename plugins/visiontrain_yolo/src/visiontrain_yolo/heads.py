"""YOLO26's two heads: of one boxes that overlap are suppressed afterwards, the other one finds each object once."""

from __future__ import annotations

from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

from torch import nn
from ultralytics.nn.modules.head import Detect, RTDETRDecoder

__all__ = ["choose_head", "ends_in_rows", "for_inference"]


def choose_head(model: nn.Module, *, nms: bool, max_det: int) -> None:
    """Let a detector that is set to evaluation use one of its heads; one that has a single head stays as it is.

    Args:
        model: Of Ultralytics.
        nms: Use the one whose boxes are suppressed.
        max_det: What the other one finds in an image at the most.
    """
    built: Any = model
    if getattr(built.model[-1], "one2one_cv2", None) is not None:
        built.model[-1].end2end = not nms
        built.model[-1].max_det = max_det


def for_inference(model: nn.Module, *, nms: bool, max_det: int) -> nn.Module:
    """The detector, without what only its training needs and without the head that is not used. Changed in place."""
    choose_head(model, nms=nms, max_det=max_det)
    built: Any = model
    if isinstance(built.model[-1], Detect):
        built.model[-1].fuse()  # of a head, it takes parts out; of a whole model, it changes weights
    return model


def ends_in_rows(model: nn.Module) -> bool:
    """Whether a detector gives a row an object, the best first, rather than boxes that are to be suppressed."""
    built: Any = model
    head = built.model[-1]
    return isinstance(head, RTDETRDecoder) or bool(getattr(head, "end2end", False))
