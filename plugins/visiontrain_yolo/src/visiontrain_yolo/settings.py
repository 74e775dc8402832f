"""Our options under Ultralytics' names: what its models, losses, augmentation and metrics read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

from ultralytics.utils import DEFAULT_CFG_DICT, IterableSimpleNamespace

from visiontrain_yolo.options import AUGMENTATIONS, GAINS, YoloOptions

__all__ = ["default_settings", "settings_of"]


def default_settings() -> Any:
    """Ultralytics' defaults."""
    return IterableSimpleNamespace(**DEFAULT_CFG_DICT)


def settings_of(options: YoloOptions, *, task: str, epochs: int, image_size: int) -> Any:
    """Ultralytics' hyperparameters for a run."""
    given = {name: value for name, value in asdict(options).items() if name in (*AUGMENTATIONS, *GAINS)}
    return IterableSimpleNamespace(
        **{**DEFAULT_CFG_DICT, **given, "task": task, "epochs": epochs, "imgsz": image_size, "data": None}
    )
