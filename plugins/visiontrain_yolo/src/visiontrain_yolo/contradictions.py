"""Options that don't go together. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visiontrain.errors import SpecError

if TYPE_CHECKING:
    from visiontrain_yolo.options import YoloOptions

__all__ = ["refuse_contradictions"]

#: Optimizers whose momentum can be warmed up.
_WITH_MOMENTUM = ("sgd", "musgd", "rmsprop")


def refuse_contradictions(options: YoloOptions) -> None:
    """Refuse an option that another one leaves without effect.

    Raises:
        SpecError: names the option, and what to do.
    """
    if options.warmup_epochs == 0:
        for name in ("warmup_momentum", "warmup_bias_lr"):
            if getattr(options, name) is not None:
                raise _without_effect(name, "warmup_epochs=0", "Leave it out, or set warmup_epochs above 0.")
    if options.warmup_momentum is not None and options.optimizer not in _WITH_MOMENTUM:
        raise _without_effect(
            "warmup_momentum",
            f"optimizer={options.optimizer}",
            f"Leave it out, or set optimizer={' or '.join(_WITH_MOMENTUM)}.",
        )
    if options.close_mosaic and not options.blends:
        raise _without_effect(
            "close_mosaic", "mosaic=0, mixup=0 and cutmix=0", "Leave it out, or set one of them above 0."
        )


def _without_effect(name: str, because: str, instruction: str) -> SpecError:
    return SpecError(name, f"has no effect with {because}", instruction=instruction)
