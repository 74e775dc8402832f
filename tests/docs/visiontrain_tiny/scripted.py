"""A trainer that says the same things each time: what the protocol's transcripts are recorded from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from visiontrain.errors import WeightsError
from visiontrain.protocol.inference import (
    ClassifyPrediction,
    EvaluateResult,
    ExportResult,
    ImagePrediction,
    KeypointPrediction,
    MaskRuns,
    ObjectPrediction,
    PredictParams,
    PredictResult,
)
from visiontrain.protocol.messages import Cpu, Device, ModelInfo, TrainResult
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.trainer import Description


class ScriptedTrainer:
    """``shortest`` trains one epoch of two batches, ``endless`` until it is stopped, ``broken`` raises."""

    def describe(self) -> Description:
        devices = (Device("cuda:0", "NVIDIA H100", 85_000_000_000), Device("cpu", "Intel Xeon"))
        cpu = Cpu(threads=4, capability="AVX512", features=("amx_tile", "amx_bf16", "avx512f", "avx2"))
        return Description({"timm": "1.0.31", "torch": "2.15.0"}, devices, cpu)

    def models(self) -> Iterator[ModelInfo]:
        yield ModelInfo("resnet18", ("classify",), ("a1_in1k", "fb_swsl_ig1b_ft_in1k"))
        yield ModelInfo("test_resnet", ("classify",))

    def train(self, context: RunContext) -> TrainResult:
        if context.params.model == "broken":
            raise WeightsError("no pretrained weights are published for broken", instruction="Give --scratch.")
        self._begin(context)
        if context.params.model == "endless":
            while not context.stop_requested:
                time.sleep(0.005)
            return self._stopped(context)
        for step in (1, 2):
            context.progress("train", epoch=1, epochs=1, step=step, steps=2, values={"train_loss": 1.5 / step})
        row = {"train_loss": 0.75, "learning_rate": 0.001, "val_loss": math.nan, "accuracy": 0.625}
        context.metrics(row, step=2, epoch=1)
        self._checkpoint(context, "best", step=2, epoch=1)
        matrix = context.artifacts_dir / "confusion_matrix.json"
        matrix.write_text("{}", encoding="ascii")
        context.artifact(matrix, kind="confusion_matrix")
        self._checkpoint(context, "last", step=2, epoch=1)
        return TrainResult("completed", 1.0, {"train_loss": 0.75, "accuracy": 0.625, "val_loss": None})

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        context.progress("evaluate", step=1, steps=1)
        return EvaluateResult("completed", {"accuracy": 0.625, "val_loss": math.nan})

    def predict(self, params: PredictParams) -> PredictResult:
        if params.task != "classify":
            return self._find(params)
        seen = ImagePrediction(640, 480, classify=ClassifyPrediction((0.75, 0.25)))
        unread = ImagePrediction(error=f"{params.images[-1].path}: can't be read: No such file or directory")
        return PredictResult(("cat", "dog"), multi_label=False, predictions=(seen, seen, unread))

    def _find(self, params: PredictParams) -> PredictResult:
        """An object in the first image, which is of 4 x 3 pixels, and none in the second one."""
        mask = MaskRuns(3, 4, "32103") if params.task == "segment" else None
        points = (KeypointPrediction(1.5, 0.5, 0.75), KeypointPrediction(2.5, 1.5, 0.25))
        quad = (2.0, -0.5, 3.5, 1.0, 2.0, 2.5, 0.5, 1.0) if params.task == "obb" else None
        is_pose = params.task == "pose"
        found = ObjectPrediction(1, 0.875, (1.0, 0.0, 3.0, 2.0), mask, points if is_pose else (), quad)
        predictions = (ImagePrediction(4, 3, objects=(found,)), ImagePrediction(4, 3, objects=()))
        names, edges = (("head", "tail"), ((0, 1),)) if is_pose else ((), ())
        return PredictResult(("cat", "dog"), False, predictions, names, edges)

    def export(self, context: ExportContext) -> ExportResult:
        for name in ("model.onnx", "model.json"):
            path = context.artifacts_dir / name
            path.touch()
            context.artifact(path, kind="export")
        return ExportResult("completed", {"export_difference": 2.5e-07})

    def _begin(self, context: RunContext) -> None:
        resume = context.params.resume
        if resume is not None:
            context.resumed(step=1, epoch=0.5, checkpoint=context.checkpoints_dir / "last.pt")
        context.log("11,689,512 parameters, bf16 on cuda:0")

    def _stopped(self, context: RunContext) -> TrainResult:
        reason = "a GPU adds in another order each time"
        path = context.checkpoints_dir / "last.pt"
        path.touch()
        context.checkpoint(path, kind="last", step=1, epoch=0.5, exact=False, reason=reason)
        return TrainResult("stopped", 0.5)

    def _checkpoint(self, context: RunContext, kind: str, *, step: int, epoch: float) -> None:
        path = context.checkpoints_dir / f"{kind}.pt"
        path.touch()
        context.checkpoint(path, kind="best" if kind == "best" else "last", step=step, epoch=epoch)
