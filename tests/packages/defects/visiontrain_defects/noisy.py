"""Writes to standard output in every way there is, and reads from standard input."""

from __future__ import annotations

import os
import subprocess
import sys

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
