"""Trainers that break one rule each; the conformance kit must find each of them out."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from visiontrain.protocol.messages import ModelInfo, TrainResult
from visiontrain.worker.context import RunContext
from visiontrain.worker.trainer import Description
from visiontrain_defects.conforming import STEPS, Conforming


class WritesHome(Conforming):
    def prepare(self, context: RunContext) -> None:
        (Path.home() / "litter.txt").write_text("x", encoding="utf-8")


class WritesData(Conforming):
    def prepare(self, context: RunContext) -> None:
        (context.dataset.root / "cache.txt").write_text("x", encoding="utf-8")


class WritesBesideTheRun(Conforming):
    def prepare(self, context: RunContext) -> None:
        path = context.run_dir.parent / "notes.txt"
        path.write_text("x", encoding="utf-8")
        path.unlink()


class WritesInAChild(Conforming):
    def prepare(self, context: RunContext) -> None:
        subprocess.run(["/bin/sh", "-c", 'echo x > "$HOME/litter.txt"'], check=True)


class LeavesTemporaryFiles(Conforming):
    def prepare(self, context: RunContext) -> None:
        tempfile.mkdtemp()


class ChangesItsOwnCode(Conforming):
    def prepare(self, context: RunContext) -> None:
        (Path(__file__).parent / "cache.bin").write_bytes(os.urandom(8))


class ConnectsQuietly(Conforming):
    def prepare(self, context: RunContext) -> None:
        with contextlib.suppress(OSError):
            socket.create_connection(("192.0.2.1", 80), timeout=1)


class LooksNamesUpInDescribe(Conforming):
    def describe(self) -> Description:
        with contextlib.suppress(OSError):
            socket.getaddrinfo("updates.example", 443)
        return super().describe()


class IgnoresStop(Conforming):
    def heeds_stop(self) -> bool:
        return False


class StopsWithoutCheckpoint(Conforming):
    def stop(self, context: RunContext, state: dict) -> None:
        pass


class StopsAtTheEndOfAnEpoch(Conforming):
    """Asked to stop, it trains the epoch to its end first, which may take hours."""

    def train(self, context: RunContext) -> TrainResult:
        self._step = 0
        return super().train(context)

    def draw(self, seed: int, step: int) -> float:
        self._step = step + 1
        return super().draw(seed, step)

    def heeds_stop(self) -> bool:
        return self._step % STEPS == 0


class ReportsNoProgress(Conforming):
    def progress(self, context: RunContext, epoch: int, batch: int) -> None:
        pass


class CountsEpochsFromZero(Conforming):
    def progress(self, context: RunContext, epoch: int, batch: int) -> None:
        super().progress(context, epoch - 1, batch)


class HasNamesOfItsOwn(Conforming):
    def row(self, state: dict) -> dict[str, float]:
        return {"loss/train": state["value"], "val_acc": state["value"] % 1}


class TellsPercent(Conforming):
    def row(self, state: dict) -> dict[str, float]:
        return {"train_loss": state["value"], "accuracy": 100 * (state["value"] % 1)}

    def result(self, state: dict) -> dict[str, float]:
        return {"accuracy": 100 * state["best"]}


class ForgetsAnEpoch(Conforming):
    """Measures every second epoch only."""

    def end_epoch(self, context: RunContext, state: dict, epoch: int) -> None:
        if epoch % 2:
            super().end_epoch(context, state, epoch)


class KeepsNoBest(Conforming):
    def save(self, context: RunContext, state: dict, kind: str, **how: object) -> None:
        if kind == "last":
            super().save(context, state, kind, **how)


class GivesTheLastForTheBest(Conforming):
    """The walk goes up and down: its last epoch is not its best."""

    def result(self, state: dict) -> dict[str, float]:
        return {"accuracy": -state["best"]}


class ForgetsItsGenerator(Conforming):
    """Random numbers come from a generator whose state is in no checkpoint, and it claims to be exact."""

    def prepare(self, context: RunContext) -> None:
        self._generator = random.Random(context.params.seed)

    def draw(self, seed: int, step: int) -> float:
        return self._generator.random()


class LosesTheFractionOfAnEpoch(Conforming):
    """Resumes at the beginning of the epoch that was stopped, with the value that it had in its middle."""

    def restore(self, context: RunContext) -> dict | None:
        resume = context.params.resume
        if resume is None:
            return None
        path = Path(resume.checkpoints[0])
        state = json.loads(path.read_text(encoding="utf-8"))
        state["step"] -= state["step"] % STEPS
        context.resumed(step=state["step"], epoch=state["step"] / STEPS, checkpoint=path)
        return state


class ResumesWithoutAWord(Conforming):
    def restore(self, context: RunContext) -> dict | None:
        resume = context.params.resume
        return json.loads(Path(resume.checkpoints[0]).read_text(encoding="utf-8")) if resume else None


class BeginsAnew(Conforming):
    def restore(self, context: RunContext) -> dict | None:
        if context.params.resume is not None:
            context.resumed(step=0, epoch=0.0, checkpoint=None)


class TrustsWhatItReads(Conforming):
    """Takes of a checkpoint what it can find there."""

    def restore(self, context: RunContext) -> dict | None:
        try:
            return super().restore(context)
        except ValueError:
            path = Path(context.params.resume.checkpoints[0])
            step = int(re.search(r'"step": (\d+)', path.read_text(encoding="utf-8"))[1])
            context.resumed(step=step, epoch=step / STEPS, checkpoint=path)
            return {"step": step, "value": 0.0, "best": -1.0, "best_epoch": 0}


class DiesOnDamage(Conforming):
    def restore(self, context: RunContext) -> dict | None:
        try:
            return super().restore(context)
        except ValueError:
            os.abort()


class SaysInexact(Conforming):
    """Honest: its checkpoints say that a resumed run differs."""

    def save(self, context: RunContext, state: dict, kind: str, **how: object) -> None:
        super().save(context, state, kind, exact=False, reason="a walk is never the same twice")


class FallsBackToTheCpu(Conforming):
    def check(self, context: RunContext) -> None:
        pass


class BreaksOnMissingFiles(Conforming):
    def train(self, context: RunContext) -> TrainResult:
        try:
            return super().train(context)
        except FileNotFoundError:
            os._exit(3)


class SwallowsOutput(Conforming):
    """Puts a pipe in the place of standard output and reads it when all is over: until then there must be little."""

    def train(self, context: RunContext) -> TrainResult:
        reader, writer = os.pipe()
        saved = os.dup(1)
        os.dup2(writer, 1)
        try:
            print("begins", flush=True)
            return super().train(context)
        finally:
            os.dup2(saved, 1)
            os.close(writer)
            os.close(reader)

    def draw(self, seed: int, step: int) -> float:
        time.sleep(0.02)  # there are trainings that take longer than a moment
        print(f"step {step}", flush=True)
        return super().draw(seed, step)


class DescribesNothing(Conforming):
    def describe(self) -> Description:
        return Description({})


class ListsAModelTwice(Conforming):
    def models(self):
        return [ModelInfo("walk_small", ("classify",))] * 2 + [ModelInfo("run_large", ("detect",))]


class Talks(Conforming):
    """No defect: prints a lot, also to where messages go."""

    def progress(self, context: RunContext, epoch: int, batch: int) -> None:
        print('{"jsonrpc":"2.0","method":"event","params":{}}')
        os.write(1, b"\xff\n")
        super().progress(context, epoch, batch)
