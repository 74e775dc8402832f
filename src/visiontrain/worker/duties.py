"""What a worker does for each kind of request: the trainer's methods, with what they are given."""

from __future__ import annotations

import importlib
import os
import platform
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from visiontrain.errors import PluginError, ProtocolError
from visiontrain.protocol.events import split_non_finite
from visiontrain.protocol.inference import EvaluateParams, EvaluateResult, ExportParams, ExportResult, PredictParams
from visiontrain.protocol.messages import InitializeParams, InitializeResult, TrainParams, TrainResult
from visiontrain.protocol.structure import JsonObject, JsonValue, structure, unstructure
from visiontrain.protocol.tracking import LogModelParams, TrackParams
from visiontrain.protocol.version import PROTOCOL_VERSION
from visiontrain.worker.answers import fitted
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.priority import stand_back
from visiontrain.worker.tracker import Tracker
from visiontrain.worker.trainer import Evaluator, Exporter, Predictor, Trainer

__all__ = ["Duties", "UnknownMethodError", "clipped", "load_trainer"]

_LONGEST_NAME = 100

#: Requests that a trainer need not answer, and the class that says that it does.
_OFFERS: Mapping[str, type] = MappingProxyType({"evaluate": Evaluator, "predict": Predictor, "export": Exporter})

AnyContext = RunContext | EvaluateContext | ExportContext
RunResult = TrainResult | EvaluateResult | ExportResult


class UnknownMethodError(ProtocolError):
    """There is no such request."""

    def __init__(self, method: str) -> None:
        super().__init__(f"this worker has no method {clipped(method)}")


class Duties:
    """The requests that a trainer answers. One at a time, on the main thread.

    Args:
        send: Takes an event's JSON object to the pipe.
    """

    def __init__(self, send: Callable[[JsonObject], None]) -> None:
        self._send = send
        self._trainer: Trainer | None = None
        self._context: AnyContext | None = None
        self._stop_requested = False
        self._lock = threading.Lock()  # between a stop and the start of the run that it is meant for
        self.keeps_nothing = False  # what is under way is no run: it may end at any moment

    def carry_out(self, method: str, params: JsonObject) -> JsonValue:
        """Do what a request asks for; gives its result.

        Raises:
            ProtocolError: the worker is not asked rightly.
            BaseException: whatever the trainer raises.
        """
        handlers = {
            "initialize": self._initialize,
            "models": self._models,
            "train": self._train,
            "evaluate": self._evaluate,
            "predict": self._predict,
            "export": self._export,
            "track": self._track,
            "log_model": self._log_model,
            "system_metrics": self._system_metrics,
        }
        handler = handlers.get(method)
        if handler is None:
            raise UnknownMethodError(method)
        return handler(params)

    def stop(self) -> None:
        """The host wants the run to stop, which may be about to begin. From the reader's thread."""
        with self._lock:
            self.request_stop()

    def request_stop(self) -> None:
        """The same from a signal handler, between two steps of the main thread: that may hold the lock."""
        self._stop_requested = True
        if self._context is not None:
            self._context.request_stop()

    def _initialize(self, params: JsonObject) -> JsonValue:
        if self._trainer is not None:
            raise ProtocolError("this worker is initialized already: initialize comes once")
        asked = structure(InitializeParams, params)
        if asked.protocol != PROTOCOL_VERSION:
            raise ProtocolError(
                f"the host speaks protocol {asked.protocol}, this worker {PROTOCOL_VERSION}",
                instruction="Upgrade visiontrain and its plugins to versions that belong together.",
            )
        trainer = load_trainer(asked.trainer)
        if isinstance(trainer, Tracker):
            stand_back()  # a training's numbers are less urgent than the training
        found = trainer.describe()
        result: JsonValue = unstructure(
            InitializeResult(
                protocol=PROTOCOL_VERSION,
                trainer=asked.trainer,
                versions={**found.versions, "python": platform.python_version()},
                devices=found.devices,
                cpu=found.cpu,
                pid=os.getpid(),
                offers=tuple(method for method, offer in _OFFERS.items() if isinstance(trainer, offer)),
            )
        )
        self._trainer = trainer
        return result

    def _models(self, _params: JsonObject) -> JsonValue:
        return [unstructure(model) for model in self._ready_trainer().models()]

    def _train(self, params: JsonObject) -> JsonValue:
        trainer = self._ready_trainer()
        context = RunContext(structure(TrainParams, params), self._send)
        context.checkpoints_dir.mkdir(exist_ok=True)
        return self._carry_out(context, lambda: trainer.train(context))

    def _evaluate(self, params: JsonObject) -> JsonValue:
        trainer = self._ready_trainer()
        if not isinstance(trainer, Evaluator):
            raise _incapable(trainer, "evaluate")
        context = EvaluateContext(structure(EvaluateParams, params), self._send)
        return self._carry_out(context, lambda: trainer.evaluate(context))

    def _export(self, params: JsonObject) -> JsonValue:
        trainer = self._ready_trainer()
        if not isinstance(trainer, Exporter):
            raise _incapable(trainer, "export")
        context = ExportContext(structure(ExportParams, params), self._send)
        return self._carry_out(context, lambda: trainer.export(context))

    def _predict(self, params: JsonObject) -> JsonValue:
        trainer = self._ready_trainer()
        if not isinstance(trainer, Predictor):
            raise _incapable(trainer, "predict")
        asked = structure(PredictParams, params)
        self.keeps_nothing = True
        try:
            answer: JsonValue = unstructure(fitted(trainer.predict(asked), asked.images))
        finally:
            self.keeps_nothing = False
        return answer

    def _track(self, params: JsonObject) -> JsonValue:
        answer: JsonValue = unstructure(self._tracker("track").track(structure(TrackParams, params)))
        return answer

    def _log_model(self, params: JsonObject) -> JsonValue:
        answer: JsonValue = unstructure(self._tracker("log_model").log_model(structure(LogModelParams, params)))
        return answer

    def _system_metrics(self, _params: JsonObject) -> JsonValue:
        answer: JsonValue = unstructure(self._tracker("system_metrics").system_metrics())
        return answer

    def _tracker(self, method: str) -> Tracker:
        tracker = self._ready_trainer()
        if not isinstance(tracker, Tracker):
            raise _incapable(tracker, method)
        return tracker

    def _carry_out(self, context: AnyContext, work: Callable[[], RunResult]) -> JsonValue:
        """Do what a run is about: it may be stopped, and reports until it returns."""
        context.artifacts_dir.mkdir(exist_ok=True)
        with self._lock:
            self._context = context
            if self._stop_requested:
                context.request_stop()
        try:
            result = work()
        finally:
            context.close()
            with self._lock:
                self._context = None
                self._stop_requested = False
        if isinstance(result, (TrainResult, EvaluateResult, ExportResult)):
            # a number that is not finite at its very end must not fail the run
            result = replace(result, **_split(result.metrics))
        answer: JsonValue = unstructure(result)
        return answer

    def _ready_trainer(self) -> Trainer:
        if self._trainer is None:
            raise ProtocolError("the first request must be initialize")
        return self._trainer


def _incapable(trainer: Trainer, method: str) -> PluginError:
    """Beside training, what a trainer offers is its choice."""
    return PluginError(
        f"{type(trainer).__module__}:{type(trainer).__name__} can't {method}: its plugin does not offer it",
        instruction="Upgrade the plugin, or ask its author.",
    )


def clipped(name: str) -> str:
    """A name for an error's message; one of megabytes would make a line that is too long itself."""
    return repr(name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "...")


def _split(metrics: Mapping[str, float | None]) -> dict[str, Any]:
    floats = {name: value for name, value in metrics.items() if isinstance(value, float)}
    finite, non_finite = split_non_finite(floats)
    return {"metrics": {**metrics, **finite}, "non_finite": non_finite}


def load_trainer(path: str) -> Trainer:
    """Make the trainer that ``package.module:Class`` names.

    Raises:
        PluginError: the module has no such class.
    """
    module_name, _, class_name = path.partition(":")
    module: Any = importlib.import_module(module_name)
    cls = getattr(module, class_name, None)
    if cls is None:
        raise PluginError(f"the module {module_name} has no class {class_name}, which the plugin's manifest names")
    trainer: Trainer = cls()
    return trainer
