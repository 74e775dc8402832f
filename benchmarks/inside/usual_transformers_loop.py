"""Training steps of transformers' models in visiontrain's loop and in a plain one. Runs in the plugin's environment.

Takes a folder with visiontrain's sources, a training's request and a number of rounds. Both loops learn from the same
batches, in the same precision, from the same weights, on the same thread, in turns: with each batch both take a step,
now one of them first and now the other. So what else the machine does hits both alike, whether it lasts for
milliseconds or minutes. Each round builds both models anew, since where memory lies makes a difference of its own.
Prints a line a round: the seconds of each step of both. Visiontrain's goes from the moment that it was given a batch to
the one when it asks for the next.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(sys.argv[1])

from visiontrain_hf.trainer import Transformers  # isort: skip - closes the hub first

import torch
from transformers import get_cosine_schedule_with_warmup

from visiontrain.protocol.messages import TrainParams
from visiontrain.protocol.structure import structure
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.precision import autocast, resolve_precision
from visiontrain.torchkit.training import train
from visiontrain.torchkit.transforms import Normalize
from visiontrain.torchkit.vision_task import Setup
from visiontrain.worker.context import RunContext
from visiontrain_hf.options import HfOptions
from visiontrain_hf.tasks import TASKS

CPU = torch.device("cpu")

#: Steps of an epoch that are not counted: memory is asked for, kernels are chosen.
WARMUP = 3


class Turns:
    """A source of batches that has the plain loop take its steps, too, and measures both.

    Args:
        source: Of the batches.
        step: The plain loop's, with a batch.
    """

    def __init__(self, source: Any, step: Callable[[Any], None]) -> None:
        self._source, self._step = source, step
        self.batches, self.ahead = source.batches, source.ahead
        self.ours: list[float] = []
        self.plain: list[float] = []

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch."""
        for number, batch in enumerate(self._source.epoch(epoch, start)):
            first = number % 2 == 0  # who goes first finds the processor's caches full of images
            plain = self._plain(batch) if first else 0.0
            begin = time.perf_counter()
            yield batch
            ours = time.perf_counter() - begin
            if not first:
                plain = self._plain(batch)
            if number >= WARMUP:
                self.ours.append(ours)
                self.plain.append(plain)

    def _plain(self, batch: Any) -> float:
        """Seconds that the plain loop's step takes."""
        torch.use_deterministic_algorithms(mode=False)  # visiontrain's loop asks for them, a plain one does not
        begin = time.perf_counter()
        self._step(batch)
        seconds = time.perf_counter() - begin
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        return seconds

    def close(self) -> None:
        """End loader processes."""
        self._source.close()


class TaskInTurns:
    """A task whose training batches the plain loop learns from, too."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self.turns: Turns | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def loaders(self, setup: Setup[HfOptions]) -> tuple[Turns, Any]:
        """The task's."""
        train_batches, val = self._task.loaders(setup)
        self.turns = Turns(train_batches, PlainLoop(setup.params, setup.data.classes, train_batches.batches).step)
        return self.turns, val


class PlainLoop:
    """Transformers' model and loss, torch's AdamW, a cosine schedule, clipped gradients.

    Args:
        params: What visiontrain's loop was asked for.
        classes: Of the data.
        batches: Of an epoch.
    """

    def __init__(self, params: TrainParams, classes: Sequence[str], batches: int) -> None:
        options = HfOptions.from_params(params.options, Task(params.task))
        torch.manual_seed(params.seed)
        built = Transformers().build(params, options, tuple(classes), lambda _: None)
        self._normalize = Normalize(built.image, CPU, channels_last=False)
        self._network: Any = built.model.network
        self._network.train()
        self._optimizer = torch.optim.AdamW(self._network.parameters(), lr=1e-4, weight_decay=0.05)
        self._schedule = get_cosine_schedule_with_warmup(self._optimizer, batches // 10, batches)
        self._precision = resolve_precision(options.precision, CPU)
        self._clip = built.clip_grad if options.clip_grad is None else options.clip_grad
        self._targets = TARGETS[Task(params.task)]

    def step(self, batch: Any) -> None:
        """Learn from a batch."""
        with autocast(CPU, self._precision):
            loss = self._network(pixel_values=self._normalize(batch.pixels), **self._targets(batch)).loss
        loss.backward()
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._clip)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()
        loss.item()


def measure(params: TrainParams, folder: Path) -> dict[str, list[float]]:
    """Seconds of each step of an epoch, in both loops."""
    context = RunContext(replace(params, run_dir=str(folder)), lambda _: None)
    context.checkpoints_dir.mkdir(parents=True)
    context.artifacts_dir.mkdir()
    task = TaskInTurns(TASKS[Task(params.task)])
    train(context, Transformers(), {Task(params.task): task})
    if task.turns is None:
        raise RuntimeError("nothing was loaded")
    return {"ours": task.turns.ours, "plain": task.turns.plain}


def _objects(batch: Any) -> dict[str, Any]:
    each = [batch.objects.of(number) for number in range(len(batch))]
    return {"labels": [{"class_labels": found.labels, "boxes": found.boxes} for found in each]}


def _masks(batch: Any) -> dict[str, Any]:
    each = [batch.objects.of(number) for number in range(len(batch))]
    return {"mask_labels": [found.masks.float() for found in each], "class_labels": [found.labels for found in each]}


#: From a batch to what a model of the task takes beside pixels.
TARGETS = {
    Task.classify: lambda batch: {"labels": batch.labels},
    Task.detect: _objects,
    Task.segment: _masks,
    Task.semantic: lambda batch: {"labels": batch.labels.long()},
}


def main() -> None:
    """Print a line a round."""
    params = structure(TrainParams, json.loads(sys.argv[2]))
    for number in range(int(sys.argv[3])):
        print(json.dumps(measure(params, Path(params.run_dir, str(number)))), flush=True)


main()
