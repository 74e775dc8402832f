"""Training steps of transformers' models in visiontrain's loop and in a plain one. Runs in the plugin's environment.

Takes a folder with visiontrain's sources, a training's request and a number of rounds. Both loops learn from the same
batches, in the same precision, from the same weights, in turns: an epoch each in every round. Prints a line a round:
the seconds of each step of both, from the moment that a batch was loaded to the one when the next is asked for.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
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


class TimedBatches:
    """A source of batches that measures how long it waits until it is asked for the next one."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.batches, self.ahead = source.batches, source.ahead
        self.seconds: list[float] = []

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch."""
        for batch in self._source.epoch(epoch, start):
            begin = time.perf_counter()
            yield batch
            self.seconds.append(time.perf_counter() - begin)

    def close(self) -> None:
        """End loader processes."""
        self._source.close()

    @property
    def steps(self) -> list[float]:
        """Seconds of each step that counts."""
        return self.seconds[WARMUP:]


class TimedTask:
    """A task whose training batches are timed."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self.train: TimedBatches | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def loaders(self, setup: Setup[HfOptions]) -> tuple[TimedBatches, Any]:
        """The task's."""
        train_batches, val = self._task.loaders(setup)
        self.train = TimedBatches(train_batches)
        return self.train, val


def ours(params: TrainParams, folder: Path) -> list[float]:
    """Seconds of each step of an epoch in visiontrain's loop."""
    context = RunContext(replace(params, run_dir=str(folder)), lambda _: None)
    context.checkpoints_dir.mkdir(parents=True)
    context.artifacts_dir.mkdir()
    task = TimedTask(TASKS[Task(params.task)])
    train(context, Transformers(), {Task(params.task): task})
    if task.train is None:
        raise RuntimeError("nothing was loaded")
    return task.train.steps


def plain(params: TrainParams, folder: Path) -> list[float]:
    """Seconds of each step of an epoch in a plain loop."""
    context = RunContext(replace(params, run_dir=str(folder)), lambda _: None)
    options = HfOptions.from_params(params.options, Task(params.task))
    torch.manual_seed(params.seed)
    built = Transformers().build(params, options, context.dataset.classes, lambda _: None)
    normalize = Normalize(built.image, CPU, channels_last=False)
    setup = Setup(params, options, context.dataset, built, normalize, CPU)
    batches, _ = TASKS[Task(params.task)].loaders(setup)
    timed = TimedBatches(batches)
    network: Any = built.model.network
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.05)
    schedule = get_cosine_schedule_with_warmup(optimizer, timed.batches // 10, timed.batches)
    precision = resolve_precision(options.precision, CPU)
    for batch in timed.epoch(0):
        with autocast(CPU, precision):
            loss = network(pixel_values=normalize(batch.pixels), **TARGETS[Task(params.task)](batch)).loss
        loss.backward()
        if options.clip_grad:
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip_grad)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        loss.item()
    return timed.steps


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
        # In another order each time: the second of two may find the processor warm, or throttled.
        steps = {}
        for loop in (ours, plain) if number % 2 else (plain, ours):
            steps[loop.__name__] = loop(params, Path(params.run_dir, f"{loop.__name__}-{number}"))
        print(json.dumps(steps), flush=True)


main()
