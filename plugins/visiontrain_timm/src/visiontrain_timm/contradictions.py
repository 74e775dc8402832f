"""Options that don't go together. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visiontrain.errors import SpecError
from visiontrain_timm.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from visiontrain_timm.options import TimmOptions

__all__ = ["refuse_contradictions"]


def refuse_contradictions(options: TimmOptions) -> None:
    """Refuse an option that another one leaves without effect, or that does the same again.

    Raises:
        SpecError: names the option, and what to do.
    """
    _optimizer(options)
    _schedule(options)
    if options.mix_probability is not None and options.mixup == 0 and options.cutmix == 0:
        raise SpecError(
            "mix_probability", "has no effect without mixup or cutmix", instruction="Set one of them above 0, too."
        )
    if options.class_weights == "balanced" and options.balanced_sampling:
        raise SpecError(
            "balanced_sampling",
            "and class_weights=balanced would make up for the same imbalance twice",
            instruction="Set one of them.",
        )
    if options.layer_decay < 1 and options.freeze == "backbone":
        raise SpecError(
            "layer_decay",
            "has no effect with freeze=backbone: the classifier alone is trained, with the whole learning rate",
            instruction="Leave one of them out.",
        )


def _optimizer(options: TimmOptions) -> None:
    usual = OPTIMIZERS[options.optimizer]
    for name, has in (("momentum", usual.momentum), ("beta1", usual.betas), ("beta2", usual.betas)):
        if getattr(options, name) is not None and not has:
            other = "beta1 and beta2" if name == "momentum" else "momentum"
            raise SpecError(name, f"is nothing that {options.optimizer} has", instruction=f"It has {other}.")


def _schedule(options: TimmOptions) -> None:
    if options.final_rate is not None and options.schedule not in ("cosine", "linear"):
        raise SpecError(
            "final_rate",
            f"has no effect with schedule={options.schedule}",
            instruction="Leave it out, or set schedule=cosine or linear.",
        )
    for name in ("decay_epochs", "decay_factor"):
        if getattr(options, name) is not None and options.schedule not in ("step", "multistep"):
            raise SpecError(
                name,
                f"has no effect with schedule={options.schedule}",
                instruction="Leave it out, or set schedule=step or multistep.",
            )
