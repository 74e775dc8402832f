"""A trainer without a host, a supervisor or a pipe: for tests that run inside its environment.

What the conformance kit asks of a plugin through real processes takes seconds a question; here it takes none but the
trainer's own, and a test can look at everything. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from visiontrain.protocol.inference import (
    EvaluateParams,
    EvaluateResult,
    ExportParams,
    ExportResult,
    ImageSource,
    PredictParams,
    PredictResult,
)
from visiontrain.protocol.messages import ResumeFrom, TrainParams, TrainResult, Weights
from visiontrain.protocol.structure import JsonObject
from visiontrain.worker.context import EvaluateContext, ExportContext, RequestContext, RunContext

__all__ = ["Evaluation", "Export", "InProcess", "Interrupt", "Training", "at"]

#: Takes phase, epoch and step of what is reported; True asks the trainer to stop.
Interrupt = Callable[[str, int, int], bool]


def at(phase: str, epoch: int, step: int) -> Interrupt:
    """Interrupt at this very moment."""
    return lambda *seen: seen == (phase, epoch, step)


class _Watched(RequestContext[Any]):
    """Keeps what is told, and may ask for a stop when something is."""

    def __init__(self, params: Any, interrupt: Interrupt | None = None) -> None:
        self.events: list[JsonObject] = []
        super().__init__(params, self.events.append)
        self._interrupt = interrupt

    def progress(self, phase: str, *, epoch: int = 0, step: int = 0, **fields: Any) -> None:
        """Tell it, and ask for a stop where that is wanted."""
        super().progress(phase, epoch=epoch, step=step, **fields)
        if self._interrupt is not None and self._interrupt(phase, epoch, step):
            self.request_stop()

    def of(self, kind: str) -> list[Any]:
        """The events of one type, as they would go through the pipe."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def logged(self) -> str:
        """All that was said to the person, a line each."""
        return "\n".join(event["message"] for event in self.of("log"))


class Training(_Watched, RunContext):
    """A training as a test sees it."""

    @property
    def rows(self) -> list[dict[str, float]]:
        """The numbers of each epoch, but how fast it was."""
        return [
            {name: value for name, value in event["values"].items() if name != "images_per_second"}
            for event in self.of("metrics")
        ]


class Evaluation(_Watched, EvaluateContext):
    """An evaluation as a test sees it."""


class Export(_Watched, ExportContext):
    """An export as a test sees it."""


class InProcess:
    """Trains in this process, as a worker would, and uses what was trained. Whatever is used is of the run `name`.

    Args:
        trainer: Makes a trainer: one for each request that brings none.
        index: A dataset's index.
        folder: An empty one: each run gets a folder in it.
        options: Options of the trainer that each request has, unless it says otherwise.
        defaults: Fields of a training's request likewise, such as ``model`` and ``image_size``.
    """

    def __init__(
        self,
        trainer: Callable[[], Any],
        index: Path,
        folder: Path,
        *,
        options: dict[str, Any] | None = None,
        **defaults: Any,
    ) -> None:
        self._trainer, self.index, self.folder = trainer, index, folder
        self._options = {"workers": 0, "precision": "fp32"} if options is None else options
        self._defaults: dict[str, Any] = {
            "task": "classify",
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": None,
            "image_size": 32,
            "device": "cpu",
            "seed": 3,
            "weights": Weights("scratch"),
            **defaults,
        }

    def params(self, name: str = "run", *, resume: bool = False, **changes: Any) -> TrainParams:
        """A training's request; `resume` goes on from the checkpoints that are there."""
        run = self.folder / name
        run.mkdir(parents=True, exist_ok=True)
        checkpoints = [self.path(name, file) for file in ("last.pt", "previous.pt")]
        found = ResumeFrom(tuple(str(path) for path in checkpoints if path.exists())) if resume else None
        options = {**self._options, **changes.pop("options", {})}
        values = {**self._defaults, **changes}
        return TrainParams(
            run_id=name, run_dir=str(run), dataset=str(self.index), resume=found, options=options, **values
        )

    def train(
        self,
        name: str = "run",
        *,
        interrupt: Interrupt | None = None,
        before: Callable[[Training], None] | None = None,
        **changes: Any,
    ) -> tuple[TrainResult, Training]:
        """Train; `interrupt` asks for a stop, `before` is called with the context first."""
        context = Training(self.params(name, **changes), interrupt)
        if before is not None:
            before(context)
        result: TrainResult = self._trainer().train(context)
        return result, context

    def evaluate(
        self,
        name: str = "run",
        *,
        file: str = "best.pt",
        splits: Sequence[str] = ("val",),
        stop_at: int | None = None,
        trainer: Any = None,
        **changes: Any,
    ) -> tuple[EvaluateResult, Evaluation]:
        """Evaluate a checkpoint; `stop_at` is the batch at which a stop is asked for."""
        options = {**self._options, **changes.pop("options", {})}
        values = {**self._of_use(), "dataset": str(self.index), **changes}
        params = EvaluateParams(
            run_id=name, run_dir=str(self._made(f"{name}-evaluated")), model="unused", splits=tuple(splits),
            checkpoint=str(self.path(name, file)), options=options, **values,
        )  # fmt: skip
        context = Evaluation(params, _at_step(stop_at))
        result: EvaluateResult = (trainer or self._trainer()).evaluate(context)
        return result, context

    def predict(
        self, images: Sequence[Any], name: str = "run", *, file: str = "best.pt", trainer: Any = None, **changes: Any
    ) -> PredictResult:
        """Predict images: paths, or sources."""
        options = {**self._options, **changes.pop("options", {})}
        values = {**self._of_use(), "confidence": 0.0, **changes}
        sources = tuple(image if isinstance(image, ImageSource) else ImageSource(str(image)) for image in images)
        params = PredictParams(
            model="unused", checkpoint=str(self.path(name, file)), images=sources, options=options, **values
        )
        found: PredictResult = (trainer or self._trainer()).predict(params)
        return found

    def exporting(
        self, format_: str, name: str = "run", *, file: str = "best.pt", stop_at: int | None = None, **changes: Any
    ) -> Export:
        """An export that has not begun."""
        values = {"split": "val", "images": 6, "tolerance": 1e-3, "dataset": str(self.index), **changes}
        values.setdefault("task", self._defaults["task"])
        params = ExportParams(
            run_id=name, run_dir=str(self._made(f"{name}-exported")), model="unused",
            checkpoint=str(self.path(name, file)), format=format_, **values,
        )  # fmt: skip
        return Export(params, _at_step(stop_at))

    def export(
        self, format_: str = "onnx", name: str = "run", *, context: Export | None = None, **changes: Any
    ) -> tuple[ExportResult, Export]:
        """Export a checkpoint."""
        context = context or self.exporting(format_, name, **changes)
        result: ExportResult = self._trainer().export(context)
        return result, context

    def path(self, name: str = "run", file: str = "best.pt") -> Path:
        """A checkpoint."""
        return self.folder / name / "checkpoints" / file

    def _of_use(self) -> dict[str, Any]:
        return {name: self._defaults[name] for name in ("task", "batch_size", "device")}

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _at_step(step: int | None) -> Interrupt | None:
    return None if step is None else lambda _phase, _epoch, seen: seen == step
