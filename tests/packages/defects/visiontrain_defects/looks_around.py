"""Tells what it can see; not a defect."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        context.log(json.dumps({"variables": dict(os.environ), "path": sys.path, "cwd": str(Path.cwd())}))
        return TrainResult("completed", 1.0)
