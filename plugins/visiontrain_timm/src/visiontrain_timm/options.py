"""Training options with their defaults, for the host's half and the trainer. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from visiontrain.errors import SpecError

__all__ = ["TimmOptions"]


@dataclass(frozen=True)
class TimmOptions:
    """See `visiontrain_timm.plugin` for what each one does, and its bounds. None: worked out and said."""

    weight_decay: float = 0.05
    warmup_epochs: float | None = None
    label_smoothing: float = 0.1
    augmentation: str = "light"
    precision: str = "auto"
    clip_grad: float = 0.0
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    channels_last: bool = True
    workers: int | None = None
    checkpoint_minutes: float = 10.0

    @classmethod
    def from_params(cls, options: Mapping[str, Any]) -> TimmOptions:
        """The options of a request; what it leaves out has its default.

        Raises:
            SpecError: there is no such option.
        """
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise SpecError(name, f"is no option of timm; there is {', '.join(known)}")
        return cls(**options)

    def conditions(self) -> dict[str, Any]:
        """Those that a resumed run must share to be exact."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("workers", "checkpoint_minutes")}
