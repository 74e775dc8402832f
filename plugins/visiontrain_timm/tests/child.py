"""Trains in a process of its own that kills itself with -9 after a number of batches. Run by test_exactness."""

import json
import os
import signal
import sys
from pathlib import Path

import torch

import visiontrain.torchkit.loop
from visiontrain.protocol.messages import TrainParams
from visiontrain.protocol.structure import structure
from visiontrain.worker.context import RunContext
from visiontrain_timm.trainer import TimmTrainer


class Killed(RunContext):
    """Ends the process at a batch."""

    left = 0

    def progress(self, phase, **fields):
        super().progress(phase, **fields)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    request = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    visiontrain.torchkit.loop.LOOK_SECONDS = 0
    context = Killed(structure(TrainParams, request["params"]), lambda event: None)
    context.left = request["kill_at"]
    TimmTrainer().train(context)
