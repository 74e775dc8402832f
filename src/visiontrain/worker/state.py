"""What a training without torch is in the middle of, and how it is kept and taken up again."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from visiontrain.worker.checkpoint import CheckpointFiles, read_checkpoint
from visiontrain.worker.context import RunContext

__all__ = ["Keeper", "Position", "Write", "is_better"]

#: What a checkpoint holds beside the trainer's own values, as text.
_POSITION = "position"


class Write(Protocol):
    """Writes values into a file, as `numpy.savez` does."""

    def __call__(self, file: IO[bytes], /, **values: Any) -> object:
        """Write them."""
        ...


@dataclass
class Position:
    """Where a run is: epochs completed, batches done of the one under way, steps done, what they gave.

    When all batches of an epoch are done, its validation is what comes next. `best_epoch` is counted from 1; 0: none.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)


class Keeper:
    """Writes last, previous and best into the run's folder, and goes on from the first two.

    Args:
        context: The run.
        state: What is trained, by name.
        suffix: What the files' names end with.
        write: Writes the state, and the position as text, into a file.
        read: Reads what `write` wrote, by name.
        conditions: What must be equal for a resumed run to be exact.

    Raises:
        ValueError: the state has a value called ``position``.
    """

    def __init__(
        self,
        context: RunContext,
        state: dict[str, Any],
        *,
        suffix: str,
        write: Write,
        read: Callable[[Path], Mapping[str, Any]],
        conditions: Mapping[str, object],
    ) -> None:
        if _POSITION in state:
            raise ValueError(f"{_POSITION} is what the loop calls its own; call that value of the state otherwise")
        self._context, self._state, self._write, self._reader = context, state, write, read
        self._files = CheckpointFiles(context.checkpoints_dir, suffix)
        self._conditions = {**_machine(), **{name: str(value) for name, value in conditions.items()}}
        self._saved: tuple[int, int] | None = None

    def save_last(self, at: Position, batches: int) -> None:
        """Write all that is needed to go on, unless it has just been written."""
        here = (at.epoch, at.batch)
        if here == self._saved:
            return
        self._files.write_last(self._writer(at))
        self._saved = here
        self._context.checkpoint(self._files.last, kind="last", step=at.step, epoch=at.epoch + at.batch / batches)

    def save_best(self, at: Position) -> None:
        """Write the state of the epoch that was just validated."""
        self._files.write_best(self._writer(at))
        self._context.checkpoint(self._files.best, kind="best", step=at.step, epoch=at.best_epoch)

    def restore(self, batches: int) -> Position:
        """Go on from the newest checkpoint that can be read where the request says so, else begin.

        Raises:
            RunFailedError: none can be read.
        """
        resume = self._context.params.resume
        if resume is None:
            return Position()

        def warn(text: str) -> None:
            self._context.log(text, level="warning")

        found = self._files.read_newest(resume.checkpoints, self._read, warn=warn)
        if found is None:
            self._context.resumed(step=0, epoch=0.0, checkpoint=None)
            return Position()
        path, (values, at, conditions) = found
        self._state.update(values)
        if path == self._files.last:
            self._saved = (at.epoch, at.batch)
        self._forget_later_best(at)
        reasons = [
            f"{name} was {conditions.get(name)} and is {self._conditions.get(name)}"
            for name in sorted({*conditions, *self._conditions})
            if conditions.get(name) != self._conditions.get(name)
        ]
        self._context.resumed(
            step=at.step,
            epoch=at.epoch + at.batch / batches,
            checkpoint=path,
            exact=not reasons,
            reason="; ".join(reasons) or None,
        )
        return at

    def _writer(self, at: Position) -> Callable[[IO[bytes]], object]:
        position = json.dumps({**asdict(at), "conditions": self._conditions})
        return lambda file: self._write(file, **self._state, **{_POSITION: position})

    def _read(self, path: Path) -> tuple[dict[str, Any], Position, dict[str, str]]:
        found = self._reader(path)
        try:
            values = {name: found[name] for name in self._state}
            position = json.loads(str(found[_POSITION]))
        finally:
            if hasattr(found, "close"):  # NumPy's archives stay open
                found.close()
        conditions: dict[str, str] = position.pop("conditions")
        return values, Position(**position), conditions

    def _forget_later_best(self, at: Position) -> None:
        # best may stem from an epoch that is now done again; were it kept, weights and numbers could disagree.
        try:
            epoch = read_checkpoint(self._files.best, self._read)[1].best_epoch
        except ValueError:
            epoch = None
        if epoch != at.best_epoch:
            at.best_epoch, at.best = 0, {}


def _machine() -> dict[str, str]:
    """What numbers depend on that no trainer decides: sums are made in parts, one a processor."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "version of python": platform.python_version(),
        "kind of processor": platform.machine(),
        "number of processors": str(processors),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
    }


def is_better(new: float, old: float) -> bool:
    """Whether `new` is higher; anything is better than NaN, and NaN than nothing."""
    return not math.isnan(new) and (math.isnan(old) or new > old)
