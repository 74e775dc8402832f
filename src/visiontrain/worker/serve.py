"""The worker's loop: requests in, one at a time, on the main thread; a reader beside it.

Importing this module does nothing: multiprocessing may import it again in a child.
"""

from __future__ import annotations

import importlib
import os
import platform
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any

from visiontrain.errors import PluginError, ProtocolError
from visiontrain.protocol.codec import Message, decode, encode, encode_event
from visiontrain.protocol.events import split_non_finite
from visiontrain.protocol.inference import (
    EvaluateParams,
    EvaluateResult,
    ExportParams,
    ExportResult,
    PredictParams,
)
from visiontrain.protocol.messages import (
    ErrorInfo,
    InitializeParams,
    InitializeResult,
    Request,
    Response,
    TrainParams,
    TrainResult,
)
from visiontrain.protocol.structure import JsonObject, JsonValue, structure, unstructure
from visiontrain.protocol.version import PROTOCOL_VERSION
from visiontrain.worker.context import EvaluateContext, ExportContext, RunContext
from visiontrain.worker.failure import INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, describe_exception
from visiontrain.worker.stdio import Pipe, claim
from visiontrain.worker.trainer import Evaluator, Exporter, Predictor, Trainer

__all__ = ["Server", "load_trainer", "main"]

_LONGEST_NAME = 100

AnyContext = RunContext | EvaluateContext | ExportContext
RunResult = TrainResult | EvaluateResult | ExportResult


def main() -> None:
    """Claim stdio and serve until the host says ``shutdown`` or is gone."""
    server = Server(claim())
    # Whoever started us may have had SIGINT ignored (nohup, a shell's background job); stopping in steps needs it.
    signal.signal(signal.SIGINT, server.interrupt)
    # A service manager or a shutdown signals every process there is: that is a wish to stop, with a checkpoint.
    signal.signal(signal.SIGTERM, server.terminate)
    # Forked children are ended by SIGTERM, as whoever forked them expects.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    server.serve()
    sys.stdout.flush()
    sys.stderr.flush()


class Server:
    """Answers the host's requests, one after the other."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._last_id: int | None = None  # of the requests that have come
        self._trainer: Trainer | None = None
        self._context: AnyContext | None = None
        self._stop_requested = False
        self._at_work = False
        self._lock = threading.Lock()  # between a stop and the start of the run that it is meant for

    def terminate(self, _number: int, _frame: FrameType | None) -> None:
        """SIGTERM: ask the run to stop; with none under way there is nothing to keep."""
        # No lock: this runs between two steps of the main thread, which may hold it.
        context = self._context
        if context is None and not self._at_work:
            os._exit(128 + signal.SIGTERM)
        self._stop_requested = True
        if context is not None:
            context.request_stop()

    def serve(self) -> None:
        """Answer until ``shutdown``."""
        threading.Thread(target=self._read, name="visiontrain-reader", daemon=True).start()
        while (request := self._requests.get()).method != "shutdown":
            self._answer(self._handle(request))
        self._answer(Response(request.id))

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """SIGINT: end the request under way. Between two requests it must cost neither a request nor an answer."""
        if self._at_work:
            raise KeyboardInterrupt

    def _handle(self, request: Request) -> Response:
        try:
            self._at_work = True
            try:
                result = self._dispatch(request)
            finally:
                self._at_work = False
        except BaseException as error:  # noqa: BLE001 - whatever a trainer raises becomes the request's answer
            self._at_work = False  # the interrupt may have come before it was said above
            return Response(request.id, error=_error(error))
        return Response(request.id, result=result)

    def _dispatch(self, request: Request) -> JsonValue:
        handlers = {
            "initialize": self._initialize,
            "models": self._models,
            "train": self._train,
            "evaluate": self._evaluate,
            "predict": self._predict,
            "export": self._export,
        }
        handler = handlers.get(request.method)
        if handler is None:
            raise _UnknownMethodError(request.method)
        return handler(request.params)

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
        found = trainer.describe()
        result: JsonValue = unstructure(
            InitializeResult(
                protocol=PROTOCOL_VERSION,
                trainer=asked.trainer,
                versions={**found.versions, "python": platform.python_version()},
                devices=found.devices,
                cpu=found.cpu,
                pid=os.getpid(),
            )
        )
        self._trainer = trainer
        return result

    def _models(self, _params: JsonObject) -> JsonValue:
        return [unstructure(model) for model in self._ready_trainer().models()]

    def _train(self, params: JsonObject) -> JsonValue:
        trainer = self._ready_trainer()
        context = RunContext(structure(TrainParams, params), self._send_event)
        context.checkpoints_dir.mkdir(exist_ok=True)
        return self._carry_out(context, lambda: trainer.train(context))

    def _evaluate(self, params: JsonObject) -> JsonValue:
        trainer = self._ready_trainer()
        if not isinstance(trainer, Evaluator):
            raise _incapable(trainer, "evaluate")
        context = EvaluateContext(structure(EvaluateParams, params), self._send_event)
        return self._carry_out(context, lambda: trainer.evaluate(context))

    def _export(self, params: JsonObject) -> JsonValue:
        trainer = self._ready_trainer()
        if not isinstance(trainer, Exporter):
            raise _incapable(trainer, "export")
        context = ExportContext(structure(ExportParams, params), self._send_event)
        return self._carry_out(context, lambda: trainer.export(context))

    def _predict(self, params: JsonObject) -> JsonValue:
        trainer = self._ready_trainer()
        if not isinstance(trainer, Predictor):
            raise _incapable(trainer, "predict")
        answer: JsonValue = unstructure(trainer.predict(structure(PredictParams, params)))
        return answer

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

    def _read(self) -> None:
        """The reader's thread: it answers pings and takes stops while the main thread trains."""
        try:
            for line in self._pipe.lines():
                self._receive(line)
        except OSError as error:
            print(f"visiontrain: reading requests failed: {error}", file=sys.stderr)  # noqa: T201 - the run's log
        _die_with_host()

    def _receive(self, line: bytes) -> None:
        try:
            message: Message = decode(line)
        except ProtocolError as error:
            self._refuse(PARSE_ERROR, str(error))
            return
        if isinstance(message, Request):
            self._take_request(message)
        elif isinstance(message, Response):
            self._refuse(INVALID_REQUEST, f"a worker asks for nothing, and was sent an answer (id {message.id})")
        elif message.method == "stop":
            with self._lock:
                self._stop_requested = True
                if self._context is not None:
                    self._context.request_stop()
        else:
            self._refuse(METHOD_NOT_FOUND, f"this worker knows no notification {_clipped(message.method)}")

    def _take_request(self, request: Request) -> None:
        if self._last_id is not None and request.id <= self._last_id:
            # Not under its id: that would be taken for the answer to the first request that had it.
            reason = (
                f"the request {_clipped(request.method)} has the id {request.id}, and {self._last_id} was used already"
            )
            self._refuse(INVALID_REQUEST, f"{reason}: ids count up")
            return
        self._last_id = request.id
        if request.method == "ping":
            self._answer(Response(request.id))
        else:
            self._requests.put(request)

    def _refuse(self, code: int, reason: str) -> None:
        """Say what is wrong with a message that can't be answered as a request; the next one may be right."""
        self._answer(Response(None, error=ErrorInfo(code, reason, "ProtocolError")))

    def _answer(self, response: Response) -> None:
        try:
            line = encode(response)
        except ProtocolError as error:  # a result that is not JSON is the trainer's mistake: say so
            line = encode(Response(response.id, error=_error(error)))
        self._pipe.send(line)

    def _send_event(self, event: JsonObject) -> None:
        self._pipe.send(encode_event(event))


class _UnknownMethodError(ProtocolError):
    def __init__(self, method: str) -> None:
        super().__init__(f"this worker has no method {_clipped(method)}")


def _incapable(trainer: Trainer, method: str) -> PluginError:
    """Beside training, what a trainer offers is its choice."""
    return PluginError(
        f"{type(trainer).__module__}:{type(trainer).__name__} can't {method}: its plugin does not offer it",
        instruction="Upgrade the plugin, or ask its author.",
    )


def _clipped(name: str) -> str:
    """A name for an error's message; one of megabytes would make a line that is too long itself."""
    return repr(name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "...")


def _error(error: BaseException) -> ErrorInfo:
    info = describe_exception(error)
    if isinstance(error, _UnknownMethodError):
        return ErrorInfo(METHOD_NOT_FOUND, info.message, "ProtocolError")
    if isinstance(error, ProtocolError):
        return ErrorInfo(INVALID_REQUEST, info.message, "ProtocolError", info.instruction, info.traceback)
    return info


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


def _die_with_host() -> None:
    """Nobody is left to report to. Forked children share our process group where we lead it: none shall stay."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
