"""What a run is in the middle of, and how it is kept and taken up again exactly."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visiontrain.errors import RunFailedError, SpecError
from visiontrain.torchkit.checkpoint import ADVICE, Payload, load, read_checkpoint, writer
from visiontrain.torchkit.device import describe_cpu
from visiontrain.torchkit.randomness import capture_rng, restore_rng
from visiontrain.torchkit.updates import Updates
from visiontrain.worker.checkpoint import CheckpointFiles
from visiontrain.worker.context import RunContext

__all__ = ["CheckpointKeeper", "Facts", "Position"]

_HYPERPARAMETERS = ("weight_decay", "betas", "eps", "alpha", "momentum", "nesterov", "amsgrad", "lr_scale")
_INEXACT_ON_GPU = "a GPU adds in another order each time: a resumed run agrees within rounding, not bit by bit"


@dataclass
class Position:
    """Where a run is.

    Args:
        epoch: Epochs completed.
        batch: Batches trained on in the epoch under way; when all are, its validation is still to be done.
        step: Optimizer steps done.
        loss_sum: Sum of the training loss over the images of the epoch under way.
        loss_parts: Likewise of what the loss is made of, by name, where the learner tells it.
        images: Images trained on in the epoch under way.
        seconds: Time spent on them.
        best_epoch: The best epoch so far by the primary metric, counted from 1; 0 where there is none.
        best: That epoch's row.
        train_at_once: Images of a training batch that memory has room for at once; 0: a whole batch.
        val_at_once: Likewise in validation.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_parts: dict[str, float] = field(default_factory=dict)
    images: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    train_at_once: int = 0
    val_at_once: int = 0

    def next_epoch(self) -> None:
        """The epoch under way is done."""
        self.epoch += 1
        self.batch = self.images = 0
        self.loss_sum = self.seconds = 0.0
        self.loss_parts = {}

    def mark(self) -> tuple[int, ...]:
        """What differs between two states that go on differently."""
        return self.epoch, self.batch, self.step, self.train_at_once, self.val_at_once


@dataclass(frozen=True)
class Facts:
    """What a checkpoint says about its run, as plain values.

    Args:
        identity: What a resumed run must share: model, classes, seed, batch size...
        conditions: What must be equal for a resumed run to be exact: epochs, learning rate, options, versions.
        packages: Distributions whose versions belong to the conditions.
        metadata: What later use of the weights needs: task, model, classes, image config.
    """

    identity: Mapping[str, Any]
    conditions: Mapping[str, Any]
    packages: tuple[str, ...]
    metadata: Mapping[str, Any]


class CheckpointKeeper:
    """Writes last.pt, previous.pt and best.pt into the run's folder, and goes on from the first two.

    Args:
        context: The run.
        model: What is trained.
        optimizer: Its optimizer.
        updates: What else changes the weights and has a state.
        device: Where all of them are.
        facts: What the files say about the run.
    """

    def __init__(
        self,
        context: RunContext,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        updates: Updates,
        device: torch.device,
        facts: Facts,
    ) -> None:
        self._context, self._model, self._optimizer, self._device = context, model, optimizer, device
        self._updates, self._facts = updates, facts
        self._files = CheckpointFiles(context.checkpoints_dir, ".pt")
        self._rng: dict[str, Any] | None = None
        self._saved: tuple[int, ...] | None = None

    def size(self) -> int:
        """Bytes that an epoch's end writes, about: last.pt with the optimizer's two numbers a weight, and best.pt."""
        model: int = sum(tensor.numel() * tensor.element_size() for tensor in self._model.state_dict().values())
        return model * (4 if self._updates.average is None else 5)

    def pin_rng(self) -> None:
        """Let the next `save_last` keep the random state of now: what follows will be done again when resuming."""
        self._rng = capture_rng(self._device)

    def save_last(self, position: Position, batches: int) -> None:
        """Write the whole state, unless this very position has just been written.

        Args:
            position: Where the run is.
            batches: Of an epoch.
        """
        rng, self._rng = self._rng or capture_rng(self._device), None
        here = position.mark()
        if here == self._saved:
            return
        payload: Payload = {
            "kind": "last",
            "metadata": dict(self._facts.metadata),
            "identity": dict(self._facts.identity),
            "conditions": self._conditions(),
            "position": asdict(position),
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "updates": self._updates.state_dict(),
            "rng": rng,
        }
        self._files.write_last(writer(payload))
        self._saved = here
        exact = self._device.type == "cpu"
        self._context.checkpoint(
            self._files.last,
            kind="last",
            step=position.step,
            epoch=position.epoch + position.batch / batches,
            exact=exact,
            reason=None if exact else _INEXACT_ON_GPU,
        )

    def save_best(self, position: Position) -> None:
        """Write the weights of the epoch that was just validated."""
        payload: Payload = {
            "kind": "best",
            "metadata": dict(self._facts.metadata),
            "epoch": position.best_epoch,
            "metrics": dict(position.best),
            "model": self._model.state_dict(),
        }
        self._files.write_best(writer(payload))
        self._context.checkpoint(self._files.best, kind="best", step=position.step, epoch=position.best_epoch)

    def restore(self, batches: int) -> Position:
        """Go on from the run's checkpoint where the request says so, else begin.

        Raises:
            RunFailedError: no checkpoint can be read, or its state does not fit the model.
            SpecError: the request differs from the checkpoint's run in what can't be changed.
        """
        resume = self._context.params.resume
        if resume is None:
            return Position()
        found = self._files.read_newest(
            resume.checkpoints,
            load,
            warn=lambda text: self._context.log(text, level="warning"),
            instruction=ADVICE,
        )
        if found is None:
            self._context.resumed(step=0, epoch=0.0, checkpoint=None)
            return Position()
        path, payload = found
        self._check_identity(payload["identity"])
        self._load(path, payload)
        position = Position(**payload["position"])
        self._forget_later_best(position)
        reasons = self._differences(payload["conditions"])
        if self._device.type != "cpu":
            reasons.append(_INEXACT_ON_GPU)
        if path == self._files.last:
            self._saved = position.mark()
        self._context.resumed(
            step=position.step,
            epoch=position.epoch + position.batch / batches,
            checkpoint=path,
            exact=not reasons,
            reason="; ".join(reasons) or None,
        )
        restore_rng(payload["rng"], self._device)
        return position

    def _check_identity(self, saved: Mapping[str, Any]) -> None:
        for name, value in self._facts.identity.items():
            if saved.get(name) != value:
                raise SpecError(
                    name,
                    f"is {_short(value)}, but the run was started with {_short(saved.get(name))}",
                    instruction="A run can only be resumed as it was started; start a new one to change this.",
                )

    def _load(self, path: Path, payload: Payload) -> None:
        kept = [{k: group[k] for k in _HYPERPARAMETERS if k in group} for group in self._optimizer.param_groups]
        try:
            self._model.load_state_dict(payload["model"], strict=True)
            self._optimizer.load_state_dict(payload["optimizer"])
            self._updates.load_state_dict(payload["updates"])
        except (RuntimeError, ValueError, KeyError) as e:
            raise RunFailedError(
                f"{path} does not fit the model as this environment builds it: {e}",
                instruction="Resume with the environment's generation that the run was started with.",
            ) from e
        for group, hyperparameters in zip(self._optimizer.param_groups, kept, strict=True):
            group.update(hyperparameters)

    def _forget_later_best(self, position: Position) -> None:
        # best.pt may stem from an epoch that is now done again; were it kept, weights and numbers could disagree.
        try:
            epoch = read_checkpoint(self._files.best).get("epoch")
        except ValueError:
            epoch = None
        if epoch != position.best_epoch:
            position.best_epoch, position.best = 0, {}

    def _conditions(self) -> dict[str, Any]:
        cpu = describe_cpu()
        versions = {"python": platform.python_version()}
        for name in self._facts.packages:
            try:
                versions[name] = version(name)
            except PackageNotFoundError:
                versions[name] = "none"
        return {
            **self._facts.conditions,
            "device": self._device.type,
            "threads": cpu.threads,
            "instruction set": cpu.capability,
            "ONEDNN_MAX_CPU_ISA": cpu.onednn_isa,
            "processor features": list(cpu.features),
            **{f"version of {name}": value for name, value in versions.items()},
        }

    def _differences(self, saved: Mapping[str, Any]) -> list[str]:
        threads = saved.get("threads")
        if self._device.type == "cpu" and isinstance(threads, int) and threads != torch.get_num_threads():
            self._context.log(f"Computing with {threads} threads, as before: sums depend on their number.")
            torch.set_num_threads(threads)
        now = self._conditions()
        return [
            f"{name} was {_short(saved.get(name))} and is {_short(now.get(name))}"
            for name in sorted({*saved, *now})
            if saved.get(name) != now.get(name)
        ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004
