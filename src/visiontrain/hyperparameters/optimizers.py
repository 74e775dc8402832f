"""The optimizers that can be chosen, and what is usual with each. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["BATCH_SIZE", "OPTIMIZERS", "Start", "UsualValues"]

#: The batch size that the learning rates below are for.
BATCH_SIZE = 32


@dataclass(frozen=True)
class Start:
    """Highest learning rates at `BATCH_SIZE`, by what the training begins from.

    Batch norm makes high rates safe; transformers and their like diverge or stall there.
    """

    scratch_batch_norm: float
    scratch: float
    fine_tuning: float


@dataclass(frozen=True)
class UsualValues:
    """What is usual with an optimizer.

    Args:
        start: Learning rates.
        linear: They grow with the batch size itself, as plain gradients' noise asks for; else with its square root,
            as Adam's does.
        weight_decay: Taken where none is given.
        momentum: It has one.
        betas: It has two of them.
    """

    start: Start
    linear: bool = False
    weight_decay: float = 0.05
    momentum: bool = False
    betas: bool = True

    def scale(self, batch_size: int) -> float:
        """What learning rates are multiplied by for that many images a step."""
        share = batch_size / BATCH_SIZE
        return share if self.linear else math.sqrt(share)


_ADAM = Start(2e-3, 5e-4, 2e-4)

#: By timm's name.
OPTIMIZERS: dict[str, UsualValues] = {
    "adamw": UsualValues(_ADAM),
    "adam": UsualValues(_ADAM, weight_decay=0.0),
    "nadamw": UsualValues(_ADAM),
    "lamb": UsualValues(Start(5e-3, 5e-3, 1e-3), weight_decay=0.02),
    "lion": UsualValues(Start(8e-4, 5e-5, 2e-5), weight_decay=0.5),
    "rmsprop": UsualValues(Start(2e-4, 5e-5, 2e-5), weight_decay=1e-5, momentum=True, betas=False),
    "sgd": UsualValues(Start(0.1, 0.02, 0.01), linear=True, weight_decay=1e-4, momentum=True, betas=False),
}
