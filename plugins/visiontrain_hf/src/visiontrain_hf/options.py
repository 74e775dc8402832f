"""Training options with their defaults, for the host's half and the trainer. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.classification import ClassificationOptions
from visiontrain.hyperparameters.detection import DetectionOptions
from visiontrain.hyperparameters.semantic import SemanticOptions
from visiontrain.protocol.tasks import Task

__all__ = ["ADAM", "OPTIMIZERS", "HfOptions"]

O = TypeVar("O", bound="HfOptions")  # noqa: E741 - an options class

#: Of those that visiontrain knows the ones that torch has.
OPTIMIZERS = ("adamw", "adam", "nadamw", "rmsprop", "sgd")

#: Those that want learning rates of one size.
ADAM = ("adamw", "adam", "nadamw")

#: Which tasks heed an option that not all of them do.
_HEEDED_BY: dict[str, tuple[Task, ...]] = {
    "label_smoothing": (Task.classify,),
    "mixup": (Task.classify,),
    "cutmix": (Task.classify,),
    "mix_probability": (Task.classify,),
    "balanced_sampling": (Task.classify,),
    "crop_pct": (Task.classify,),
    "class_weights": (Task.classify, Task.semantic),
    "layer_decay": (Task.classify, Task.semantic),
    "compile": (Task.classify,),  # a graph for each number of objects would be needed
    "resize": (Task.detect, Task.segment, Task.semantic),
    "backbone_rate": (Task.detect, Task.segment, Task.semantic),
}

#: What an option that was left out is for a task, where that is not its default. Gradients are clipped and weights
#: decay as in DETR (arXiv:2005.12872), Deformable DETR, RT-DETR (arXiv:2304.08069) and D-FINE; as in Mask2Former
#: (arXiv:2112.01527).
_USUAL: dict[Task, dict[str, Any]] = {
    Task.classify: {"clip_grad": 0.0},
    Task.detect: {"clip_grad": 0.1, "weight_decay": 1e-4},
    Task.segment: {"clip_grad": 0.01, "weight_decay": 0.05},
    Task.semantic: {"clip_grad": 0.0},
}


@dataclass(frozen=True)
class HfOptions(ClassificationOptions, DetectionOptions, SemanticOptions):
    """See `visiontrain_hf.plugin` for what each one does, and its bounds. None: the model's own, or worked out."""

    framework: ClassVar[str] = "hf"
    of_identity: ClassVar[tuple[str, ...]] = (
        *ClassificationOptions.of_identity,
        "backbone_rate",
        "lora_rank",
        "lora_targets",
    )

    clip_grad: float | None = None
    activation_checkpointing: bool = False
    lora_rank: int = 0
    lora_alpha: int | None = None
    lora_targets: str | None = None
    custom_code: str | None = None

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

    def for_task(self: O, task: Task) -> O:  # noqa: PYI019 - Python 3.10 has no other
        """The same for a task: what is left out is as usual with it.

        Args:
            task: What is trained.

        Raises:
            SpecError: names an option that is set and of no effect for the task.
        """
        for field in fields(self):
            heeded = task in _HEEDED_BY.get(field.name, (task,))
            if not heeded and getattr(self, field.name) != field.default:
                raise SpecError(field.name, f"has no effect with the task {task}", instruction="Leave it out.")
        usual = _USUAL.get(task, {})
        return replace(self, **{name: value for name, value in usual.items() if getattr(self, name) is None})
