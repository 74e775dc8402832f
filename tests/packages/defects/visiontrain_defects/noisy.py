"""Writes to standard output in every way there is, and reads from standard input."""

from __future__ import annotations

import math
import multiprocessing
import os
import subprocess
import sys
import time

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        print("printed")
        print('{"jsonrpc":"2.0","id":2,"result":{"status":"completed","epochs":9}}')
        print("lone surrogate \udcff")
        os.write(1, b"written to 1\n")
        os.write(1, b"\xff\xfe not UTF-8\n")
        subprocess.run(["/bin/sh", "-c", "echo a child; echo its error >&2"], check=True)
        child = "import sys; print('its input:', repr(sys.stdin.read()))"
        subprocess.run([sys.executable, "-I", "-c", child], check=True)
        try:
            input("prompt")
        except EOFError:
            context.log("input() met the end")
        sys.stdout.write("no newline")
        return TrainResult("completed", 1.0)


class TenMegabytes(Healthy):
    """Ten megabytes to each of stdout and stderr, of every kind of line and none, with events between them."""

    def train(self, context: RunContext) -> TrainResult:
        block = b"x" * 99_997 + b"\xff{}"
        for number in range(100):
            os.write(1, block)
            sys.stderr.buffer.write(block)
            print('{"jsonrpc":"2.0","method":"event","params":{}}', end="" if number % 2 else "\n")
            print(number, "null", "[1,", end="", flush=True)
            context.metrics({"train_loss": float(number)}, step=number, epoch=1, scope="step")
        print("\nthe last words", flush=True)
        return TrainResult("completed", 1.0)


def _speak(how: str) -> None:
    os.write(1, f"{how} writes\n".encode())
    print(f'{how} prints {{"jsonrpc":"2.0","id":2,"result":null}}', flush=True)
    print(f"{how} reads {sys.stdin.read()!r} and {os.read(0, 10)!r}", flush=True)


class TalkativeChildren(Healthy):
    """Children of every kind write to stdout and read stdin; some still do when the trainer has returned."""

    def train(self, context: RunContext) -> TrainResult:
        for how in ("fork", "spawn", "forkserver"):
            child = multiprocessing.get_context(how).Process(target=_speak, args=(how,))
            child.start()
            child.join()
            context.log(f"{how}: {child.exitcode}")
        shell = "echo the shell writes; cat; echo and its input is over; printf 'without a newline'"
        context.log(f"shell: {subprocess.run(['/bin/sh', '-c', shell], check=False).returncode}")
        reader = "import sys; print('python reads', repr(sys.stdin.buffer.read()))"
        context.log(f"python: {subprocess.run([sys.executable, '-I', '-c', reader], check=False).returncode}")
        if os.fork() == 0:  # it has all that this process has open, for as long as it lives
            while True:
                os.write(1, b"y" * 1000)
                time.sleep(0.001)
        return TrainResult("completed", 1.0)


class Asks(Healthy):
    """Wants an answer from a person who is not there."""

    def train(self, context: RunContext) -> TrainResult:
        context.log("before")
        input("Go on? ")
        return TrainResult("completed", 1.0)


class NotFinite(Healthy):
    """Reports what is not finite in every place that takes a number."""

    def train(self, context: RunContext) -> TrainResult:
        values = {"train_loss": math.nan, "val_loss": math.inf, "accuracy": -math.inf, "images_per_second": 0.5}
        context.progress("train", step=1, steps=1, values=values)
        context.metrics(values, step=1, epoch=1, scope="step")
        context.metrics(values, step=1, epoch=1)
        if context.params.options.get("best"):
            path = context.checkpoints_dir / "best.txt"
            path.write_text("best", encoding="utf-8")
            context.checkpoint(path, kind="best", step=1, epoch=1.0)
            return TrainResult("completed", 1.0)
        return TrainResult("completed", 1.0, values)
