"""The trainer that stands before a plugin's own: watches it, holds it where a test wants it held, and makes noise."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from visiontrain.protocol.messages import ModelInfo, TrainResult
from visiontrain.testing.worker.settings import Hold, Settings, read_settings
from visiontrain.testing.worker.watch import Watch
from visiontrain.worker.context import RunContext
from visiontrain.worker.duties import load_trainer
from visiontrain.worker.trainer import Description, Trainer

__all__ = ["GO", "HELD", "NOISE", "GuardedTrainer"]

#: Made in the kit's folder when the training is held, and by the test to let it go on.
HELD, GO = "held", "go"

#: What the noise is made of; it looks like a message, to those who read the wrong pipe.
NOISE = '{"jsonrpc":"2.0","id":2,"result":{"status":"completed","epochs":99}}'

_HELD_EPOCH = 2


class GuardedTrainer:
    """The plugin's trainer, watched."""

    def __init__(self) -> None:
        self._settings = read_settings()
        # A worker is started in the run's folder.
        Watch(Path(self._settings.folder), [Path.cwd(), *map(Path, self._settings.may_write)]).start()
        self._trainer: Trainer = load_trainer(self._settings.trainer)

    def describe(self) -> Description:
        """The plugin's own."""
        return self._trainer.describe()

    def models(self) -> Iterable[ModelInfo]:
        """The plugin's own."""
        return self._trainer.models()

    def train(self, context: RunContext) -> TrainResult:
        """The plugin's own, with what the settings add."""
        context.__class__ = _HeldContext
        assert isinstance(context, _HeldContext)  # noqa: S101 - the line before says so
        context.settings = self._settings
        context.hold_if("start")
        with _noise() if self._settings.noise else contextlib.nullcontext():
            return self._trainer.train(context)


class _HeldContext(RunContext):
    """A run's context whose reports may take as long as a test needs them to."""

    settings: Settings
    was_held = False

    def hold_if(self, moment: Hold) -> None:
        """Where the settings say so, wait until the test lets go, or has asked for a stop."""
        if self.settings.hold != moment or self.was_held:
            return
        self.was_held = True
        folder = Path(self.settings.folder)
        (folder / HELD).touch()
        while not (folder / GO).exists() and not self.stop_requested:
            time.sleep(0.01)

    def metrics(
        self, values: Mapping[str, float], *, step: int, epoch: int, scope: Literal["epoch", "step"] = "epoch"
    ) -> None:
        """As it was, and then perhaps a hold."""
        super().metrics(values, step=step, epoch=epoch, scope=scope)
        if scope == "epoch":
            self.hold_if("metrics")

    def progress(
        self,
        phase: str,
        *,
        epoch: int = 0,
        epochs: int = 0,
        step: int = 0,
        steps: int = 0,
        values: Mapping[str, float] | None = None,
        message: str = "",
    ) -> None:
        """As it was, and then perhaps a hold."""
        super().progress(phase, epoch=epoch, epochs=epochs, step=step, steps=steps, values=values, message=message)
        if phase == "train" and epoch == _HELD_EPOCH and 0 < step < steps:
            self.hold_if("mid-epoch")


@contextlib.contextmanager
def _noise() -> Iterator[None]:
    """Print lines, parts of lines and bytes that are no text, here and in children, until the end."""
    over = threading.Event()

    def make() -> None:
        while True:
            print((NOISE + "\n") * 2000)  # noqa: T201 - more than a pipe holds that nobody reads
            sys.stdout.write("no end of line")
            os.write(1, b"\xff\xfe" + NOISE.encode() + b"\n")
            child = f"import sys; print({NOISE!r}); sys.stdin.read(); sys.stderr.write('child')"
            subprocess.run([sys.executable, "-I", "-S", "-c", child], check=True)
            if over.wait(0.05):
                return

    maker = threading.Thread(target=make, name="visiontrain-noise")
    maker.start()
    try:
        yield
    finally:
        over.set()
        maker.join()
