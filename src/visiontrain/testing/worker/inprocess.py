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
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext

__all__ = ["InProcess", "Interrupt", "Told", "at"]

#: Takes phase, epoch and step of what is reported; True asks the trainer to stop.
Interrupt = Callable[[str, int, int], bool]


def at(phase: str, epoch: int, step: int) -> Interrupt:
    """Interrupt at this very moment."""
    return lambda *seen: seen == (phase, epoch, step)


class Told:
    """What a trainer told of its run.

    Args:
        events: As they would go through the pipe.
    """

    def __init__(self, events: list[JsonObject]) -> None:
        self.events = events

    def of(self, kind: str) -> list[Any]:
        """The events of one type."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def logged(self) -> str:
        """All that was said to the person, a line each."""
        return "\n".join(event["message"] for event in self.of("log"))

    @property
    def rows(self) -> list[dict[str, float]]:
        """The numbers of each epoch, but how fast it was."""
        return [
            {name: value for name, value in event["values"].items() if name != "images_per_second"}
            for event in self.of("metrics")
        ]


class _Training(RunContext):
    def __init__(self, params: TrainParams, events: list[JsonObject], interrupt: Interrupt | None) -> None:
        super().__init__(params, events.append)
        self._interrupt = interrupt

    def progress(self, phase: str, *, epoch: int = 0, step: int = 0, **fields: Any) -> None:
        super().progress(phase, epoch=epoch, step=step, **fields)
        if self._interrupt is not None and self._interrupt(phase, epoch, step):
            self.request_stop()


class InProcess:
    """Trains in this process, as a worker would, and uses what was trained.

    Args:
        trainer: Makes the trainer.
        index: A dataset's index.
        folder: An empty one: each run gets a folder in it.
        defaults: Fields of requests and options of the trainer that each request has, unless it says otherwise: such as
            ``model``, ``image_size`` and ``workers``.
    """

    def __init__(self, trainer: Callable[[], Any], index: Path, folder: Path, **defaults: Any) -> None:
        self._trainer, self.index, self.folder = trainer, index, folder
        self._options = {"precision": "fp32", "workers": 0, **defaults.pop("options", {})}
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

    def train(
        self, name: str = "run", *, resume: bool = False, interrupt: Interrupt | None = None, **changes: Any
    ) -> tuple[TrainResult, Told]:
        """Train; `resume` goes on from the checkpoints that are there, `interrupt` asks for a stop."""
        run = self.folder / name
        run.mkdir(exist_ok=True)
        checkpoints = [self.path(name, file) for file in ("last.pt", "previous.pt")]
        found = ResumeFrom(tuple(str(path) for path in checkpoints if path.exists())) if resume else None
        options = {**self._options, **changes.pop("options", {})}
        values = {**self._defaults, **changes}
        events: list[JsonObject] = []
        params = TrainParams(
            run_id=name, run_dir=str(run), dataset=str(self.index), resume=found, options=options, **values
        )
        result: TrainResult = self._trainer().train(_Training(params, events, interrupt))
        return result, Told(events)

    def evaluate(
        self, name: str = "run", *, file: str = "best.pt", splits: Sequence[str] = ("val",), **changes: Any
    ) -> tuple[EvaluateResult, Told]:
        """Evaluate a checkpoint of a run."""
        folder = self.folder / f"{name}-evaluated"
        folder.mkdir(exist_ok=True)
        options = {**self._options, **changes.pop("options", {})}
        values = {**self._of_use(), "dataset": str(self.index), **changes}
        events: list[JsonObject] = []
        params = EvaluateParams(
            run_id=name, run_dir=str(folder), model="unused", checkpoint=str(self.path(name, file)),
            splits=tuple(splits), options=options, **values,
        )  # fmt: skip
        result: EvaluateResult = self._trainer().evaluate(EvaluateContext(params, events.append))
        return result, Told(events)

    def predict(
        self, images: Sequence[Any], name: str = "run", *, file: str = "best.pt", **changes: Any
    ) -> PredictResult:
        """Predict images: paths, or sources."""
        options = {**self._options, **changes.pop("options", {})}
        values = {**self._of_use(), "confidence": 0.0, **changes}
        sources = tuple(image if isinstance(image, ImageSource) else ImageSource(str(image)) for image in images)
        params = PredictParams(
            model="unused", checkpoint=str(self.path(name, file)), images=sources, options=options, **values
        )
        found: PredictResult = self._trainer().predict(params)
        return found

    def export(
        self, format_: str, name: str = "run", *, file: str = "best.pt", **changes: Any
    ) -> tuple[ExportResult, Told]:
        """Export a checkpoint of a run."""
        folder = self.folder / f"{name}-exported"
        folder.mkdir(exist_ok=True)
        values = {"split": "val", "images": 4, "tolerance": 1e-3, "dataset": str(self.index), **changes}
        events: list[JsonObject] = []
        params = ExportParams(
            run_id=name, run_dir=str(folder), task=self._defaults["task"], model="unused",
            checkpoint=str(self.path(name, file)), format=format_, **values,
        )  # fmt: skip
        result: ExportResult = self._trainer().export(ExportContext(params, events.append))
        return result, Told(events)

    def path(self, name: str = "run", file: str = "best.pt") -> Path:
        """A checkpoint of a run."""
        return self.folder / name / "checkpoints" / file

    def _of_use(self) -> dict[str, Any]:
        return {name: self._defaults[name] for name in ("task", "batch_size", "device")}
