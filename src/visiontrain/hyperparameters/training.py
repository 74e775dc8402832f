"""The options of any training in torchkit's loop. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.optimizers import OPTIMIZERS
from visiontrain.protocol.tasks import Task

__all__ = ["TrainingOptions", "read_numbers"]

O = TypeVar("O", bound="TrainingOptions")  # noqa: E741 - an options class

_SHORTEST_DECAY = 0.1


@dataclass(frozen=True)
class TrainingOptions:
    """See `visiontrain.plugin.hyperparameters` for what each one does, and its bounds. None: worked out and said.

    A plugin's own options are a subclass, which says by `framework` whose they are.
    """

    framework: ClassVar[str]

    #: What changes neither the weights nor which of them are the best ones.
    no_condition: ClassVar[tuple[str, ...]] = ("workers", "checkpoint_minutes", "patience")

    #: What the optimizer's state, or the average's, is made for.
    of_identity: ClassVar[tuple[str, ...]] = ("optimizer", "layer_decay", "freeze", "ema_decay")

    optimizer: str = "adamw"
    momentum: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    weight_decay: float | None = None
    layer_decay: float = 1.0
    schedule: str = "cosine"
    warmup_epochs: float | None = None
    final_rate: float | None = None
    decay_epochs: str | None = None
    decay_factor: float | None = None
    accumulate: int = 1
    clip_grad: float | None = 0.0
    ema_decay: float = 0.0
    freeze: str = "none"
    precision: str = "auto"
    patience: int = 0
    workers: int | None = None
    checkpoint_minutes: float = 10.0

    @classmethod
    def from_params(  # noqa: PYI019 - Python 3.10 has no other
        cls: type[O], options: Mapping[str, Any], task: Task | None = None
    ) -> O:
        """The options of a request; what it leaves out has its default, or the one that is usual with the optimizer.

        Args:
            options: By name.
            task: What the request is for; None where that is not known yet, and what depends on it stays open.

        Raises:
            SpecError: there is no such option, a text can't be read, two options contradict each other, or one has no
                effect for the task.
        """
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise SpecError(name, f"is no option of {cls.framework}; there is {', '.join(known)}")
        given = cls(**options)
        if given.optimizer not in OPTIMIZERS:
            raise SpecError("optimizer", f"must be one of {', '.join(OPTIMIZERS)}, not {given.optimizer!r}")
        given.check()
        if task is not None:
            given = given.for_task(task)
        if given.weight_decay is not None:
            return given
        return replace(given, weight_decay=OPTIMIZERS[given.optimizer].weight_decay)

    def check(self) -> None:
        """Refuse texts that can't be read, and an option that another one leaves without effect.

        Raises:
            SpecError: names the option, and what to do.
        """
        self._check_optimizer()
        self._check_schedule()
        self.drops(1)
        if self.layer_decay < 1 and self.freeze == "backbone":
            raise SpecError(
                "layer_decay",
                "has no effect with freeze=backbone: the classifier alone is trained, with the whole learning rate",
                instruction="Leave one of them out.",
            )

    def for_task(self: O, task: Task) -> O:  # noqa: PYI019 - likewise
        """The same for a task: what is left out is as usual with it. A framework with several tasks overrides it.

        Args:
            task: What is trained.

        Raises:
            SpecError: names an option that is set and of no effect for the task.
        """
        del task
        return self

    def conditions(self) -> dict[str, Any]:
        """Those that a resumed run must share to be exact."""
        without = (*self.no_condition, *self.of_identity)
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in without}

    def identity(self) -> dict[str, Any]:
        """Those without which a run can't be resumed at all."""
        return {name: getattr(self, name) for name in self.of_identity}

    def drops(self, epochs: int) -> tuple[float, ...]:
        """The epochs, counted from 0 and ascending, at whose beginning the schedules step and multistep are lower.

        Raises:
            SpecError: `decay_epochs` is no list of numbers, or more than one where the schedule is step.
        """
        if self.schedule == "multistep":
            return (epochs * 0.5, epochs * 0.75) if self.decay_epochs is None else self._decay_epochs()
        if self.schedule != "step":
            return ()
        every = epochs / 3 if self.decay_epochs is None else self._decay_epochs()[0]
        return tuple(number * every for number in range(1, math.ceil(epochs / every)))

    def _decay_epochs(self) -> tuple[float, ...]:
        found = read_numbers("decay_epochs", self.decay_epochs or "")
        if not all(number >= _SHORTEST_DECAY for number in found):
            raise SpecError("decay_epochs", f"must be at least {_SHORTEST_DECAY}, not {self.decay_epochs}")
        if self.schedule == "step" and len(found) > 1:
            raise SpecError(
                "decay_epochs",
                f"must be one number where the schedule is step, not {self.decay_epochs}",
                instruction="Set schedule=multistep for the epochs themselves.",
            )
        return tuple(sorted(found))

    def _check_optimizer(self) -> None:
        usual = OPTIMIZERS[self.optimizer]
        for name, has in (("momentum", usual.momentum), ("beta1", usual.betas), ("beta2", usual.betas)):
            if getattr(self, name) is not None and not has:
                other = "beta1 and beta2" if name == "momentum" else "momentum"
                raise SpecError(name, f"is nothing that {self.optimizer} has", instruction=f"It has {other}.")

    def _check_schedule(self) -> None:
        if self.final_rate is not None and self.schedule not in ("cosine", "linear"):
            raise SpecError(
                "final_rate",
                f"has no effect with schedule={self.schedule}",
                instruction="Leave it out, or set schedule=cosine or linear.",
            )
        for name in ("decay_epochs", "decay_factor"):
            if getattr(self, name) is not None and self.schedule not in ("step", "multistep"):
                raise SpecError(
                    name,
                    f"has no effect with schedule={self.schedule}",
                    instruction="Leave it out, or set schedule=step or multistep.",
                )


def read_numbers(name: str, text: str) -> tuple[float, ...]:
    """Numbers with commas between them.

    Args:
        name: The option's.
        text: What was given.

    Raises:
        SpecError: it can't be read.
    """
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(math.isfinite(number) for number in found):
        raise SpecError(name, f"must be numbers with commas between them, not {text!r}")
    return found
