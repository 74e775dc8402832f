"""Wants more memory than its process may have."""

from __future__ import annotations

import resource

from visiontrain.protocol.messages import TrainResult
from visiontrain.worker.context import RunContext
from visiontrain_defects.base import Healthy

LIMIT = 1 << 32


class Trainer(Healthy):
    def train(self, context: RunContext) -> TrainResult:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
        context.log("wanting more")
        print("last words", flush=True)
        bytearray(LIMIT << 20)
        raise AssertionError("there was memory enough")
