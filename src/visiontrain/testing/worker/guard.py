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

from visiontrain.protocol.codec import dumps
from visiontrain.protocol.inference import EvaluateResult, PredictParams, PredictResult
from visiontrain.protocol.messages import ModelInfo, TrainResult
from visiontrain.testing.worker.settings import Hold, Settings, read_settings
from visiontrain.testing.worker.watch import Watch
from visiontrain.worker.context import EvaluateContext, RunContext
from visiontrain.worker.duties import load_trainer
from visiontrain.worker.trainer import Description, Evaluator, Exporter, Predictor, Trainer

__all__ = ["GO", "HELD", "NOISE", "OFFERS", "REQUESTS", "GuardedTrainer"]

#: Made in the kit's folder when the training is held, and by the test to let it go on.
HELD, GO = "held", "go"

#: The files that say what the trainer offers beside training, and what was asked of it: a JSON object a prediction.
OFFERS, REQUESTS = "offers.json", "requests.jsonl"

#: What the noise is made of; it looks like a message, to those who read the wrong pipe.
NOISE = '{"jsonrpc":"2.0","id":2,"result":{"status":"completed","epochs":99}}'

_HELD_EPOCH = 2


class GuardedTrainer:
    """The plugin's trainer, watched."""

    def __init__(self) -> None:
        self._settings = read_settings()
        # A worker is started in the run's folder, or in one of its own; the kit's is where this class writes.
        own = Path(self._settings.folder)
        Watch(own, [Path.cwd(), own, *map(Path, self._settings.may_write)]).start()
        self._trainer: Trainer = load_trainer(self._settings.trainer)
        # What the trainer does not offer, this one must not offer for it.
        offers: list[str] = []
        if isinstance(self._trainer, Evaluator):
            offers.append("evaluate")
            self.evaluate = self._evaluate
        if isinstance(self._trainer, Predictor):
            offers.append("predict")
            self.predict = self._predict
        if isinstance(self._trainer, Exporter):
            offers.append("export")
            self.export = self._trainer.export
        (own / OFFERS).write_bytes(dumps(offers))

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

    def _evaluate(self, context: EvaluateContext) -> EvaluateResult:
        if self._settings.hold == "start":
            _hold(self._settings, context)
        assert isinstance(self._trainer, Evaluator)  # noqa: S101 - it was asked whether it is
        return self._trainer.evaluate(context)

    def _predict(self, params: PredictParams) -> PredictResult:
        reads = 0

        def hear(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal reads
            if event == "open" and arguments[0] == params.checkpoint:
                reads += 1

        sys.addaudithook(hear)  # for good: a handful in a worker of the kit
        assert isinstance(self._trainer, Predictor)  # noqa: S101 - it was asked whether it is
        result = self._trainer.predict(params)
        with (Path(self._settings.folder) / REQUESTS).open("ab") as file:
            file.write(dumps({"pid": os.getpid(), "reads": reads}) + b"\n")
        return result


def _hold(settings: Settings, context: RunContext | EvaluateContext) -> None:
    """Wait until the test lets go, or has asked for a stop."""
    folder = Path(settings.folder)
    (folder / HELD).touch()
    while not (folder / GO).exists() and not context.stop_requested:
        time.sleep(0.01)


class _HeldContext(RunContext):
    """A run's context whose reports may take as long as a test needs them to."""

    settings: Settings
    was_held = False

    def hold_if(self, moment: Hold) -> None:
        """Wait where the settings say so."""
        if self.settings.hold == moment and not self.was_held:
            self.was_held = True
            _hold(self.settings, self)

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
