"""Training options with their defaults, for the host's half and the trainer. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from visiontrain.hyperparameters.classification import ClassificationOptions

__all__ = ["TimmOptions"]


@dataclass(frozen=True)
class TimmOptions(ClassificationOptions):
    """See `visiontrain_timm.plugin` for what each one does, and its bounds. None: the model's own."""

    framework: ClassVar[str] = "timm"

    drop_rate: float | None = None
    drop_path_rate: float | None = None
