"""Training options with their defaults, for the host's half and the trainer. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.classification import ClassificationOptions

__all__ = ["OPTIMIZERS", "HfOptions"]

#: Of those that visiontrain knows the ones that torch has.
OPTIMIZERS = ("adamw", "adam", "nadamw", "rmsprop", "sgd")


@dataclass(frozen=True)
class HfOptions(ClassificationOptions):
    """See `visiontrain_hf.plugin` for what each one does, and its bounds. None: the model's own, or worked out."""

    framework: ClassVar[str] = "hf"
    of_identity: ClassVar[tuple[str, ...]] = (*ClassificationOptions.of_identity, "lora_rank", "lora_targets")

    activation_checkpointing: bool = False
    lora_rank: int = 0
    lora_alpha: int | None = None
    lora_targets: str | None = None

    def check(self) -> None:
        """Refuse texts that can't be read, and an option that another one leaves without effect.

        Raises:
            SpecError: names the option, and what to do.
        """
        super().check()
        if self.optimizer not in OPTIMIZERS:
            raise SpecError("optimizer", f"must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.lora_rank == 0:
            for name in ("lora_alpha", "lora_targets"):
                if getattr(self, name) is not None:
                    raise SpecError(name, "has no effect without LoRA", instruction="Set lora_rank above 0, too.")
        elif self.freeze != "none":
            raise SpecError(
                "freeze",
                "has no effect with LoRA: but for its own weights and the classifier all stay as they are",
                instruction="Leave one of them out.",
            )
        elif self.layer_decay < 1:
            raise SpecError("layer_decay", "can't be had with LoRA", instruction="Leave one of them out.")
