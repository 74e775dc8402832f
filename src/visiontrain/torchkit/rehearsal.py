"""Training steps that are tried out: what they cost is measured, and nothing of them is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch

from visiontrain.torchkit.autobatch import Trial
from visiontrain.torchkit.freezing import begin_training
from visiontrain.torchkit.learning import Batch, Learner
from visiontrain.torchkit.memory import begin_peak, peak_memory
from visiontrain.torchkit.precision import Precision, autocast
from visiontrain.torchkit.randomness import capture_rng, restore_rng
from visiontrain.torchkit.shortage import is_out_of_memory, release_memory
from visiontrain.torchkit.updates import Updates

__all__ = ["Rehearsal"]

B = TypeVar("B", bound=Batch)


class Rehearsal(Generic[B]):
    """Trial steps. Use it as a context manager: its end brings weights, buffers and random generators back.

    Args:
        learner: What will be trained, on its device.
        make_updates: Makes an optimizer, and an average where the training has one, for the trials alone.
        make_batch: Makes a batch of so many images, as the training's loader would.
        precision: Of forward pass and loss.
        device: The model's.
    """

    def __init__(
        self,
        learner: Learner[B],
        make_updates: Callable[[], Updates],
        make_batch: Callable[[int], B],
        *,
        precision: Precision,
        device: torch.device,
    ) -> None:
        self._learner, self._make_updates, self._make_batch = learner, make_updates, make_batch
        self._precision, self._device = precision, device
        self._updates: Updates | None = None
        self._tensors: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._rng: dict[str, Any] = {}
        self._modes: list[bool] = []

    def __enter__(self) -> Rehearsal[B]:
        model = self._learner.model
        # The copies are the machine's: on the device they would count as a step's.
        tensors = [*model.parameters(), *model.buffers()]
        self._tensors = [(tensor, tensor.detach().to("cpu", copy=True)) for tensor in tensors]
        self._modes = [module.training for module in model.modules()]
        self._rng = capture_rng(self._device)
        self._updates = self._make_updates()
        begin_training(model)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        model = self._learner.model
        self._updates = None
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for tensor, copy in self._tensors:
                tensor.copy_(copy)
        self._tensors = []
        for module, mode in zip(model.modules(), self._modes, strict=True):
            module.training = mode
        restore_rng(self._rng, self._device)
        release_memory(self._device)
        begin_peak(self._device)

    def try_out(self, images: int) -> Trial | None:
        """Two steps with so many images, the second one timed. None where memory ran out."""
        if self._updates is None:
            raise RuntimeError("a rehearsal is a context manager")
        release_memory(self._device)
        begin_peak(self._device)
        try:
            batch = self._make_batch(images)
            self._step(self._updates, batch)
            began = time.perf_counter()
            self._step(self._updates, batch)
            return Trial(images, peak_memory(self._device), time.perf_counter() - began)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._updates = None  # what its optimizer had begun with may be there in part
        self._learner.model.zero_grad(set_to_none=True)
        release_memory(self._device)
        self._updates = self._make_updates()
        return None

    def _step(self, updates: Updates, batch: B) -> None:
        with autocast(self._device, self._precision):
            loss = next(self._learner.losses(batch, [slice(0, len(batch))]))
        updates.backward(loss, len(batch))
        updates.add(len(batch), step=0, last=False)
        loss.item()  # waits for the device
