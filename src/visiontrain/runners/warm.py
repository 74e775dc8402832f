"""One idle worker, kept for the next prediction: only the first one pays for imports and weights."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

from visiontrain.errors import ProtocolError, VisiontrainError, WorkerCrashedError
from visiontrain.protocol.inference import PredictParams, PredictResult
from visiontrain.protocol.structure import structure
from visiontrain.runners.connection import WorkerConnection
from visiontrain.runners.plan import Planner
from visiontrain.runners.trained import TrainedModel

__all__ = ["IDLE", "WarmWorker"]

#: Seconds after which a worker that nobody asks anything is ended.
IDLE = 300.0

#: Seconds that one answer may take: a slow model on a slow device is no reason to end it.
PATIENCE = 86_400.0


class WarmWorker:
    """Answers predictions with the worker of one environment at a time. Thread safe: one request after the other.

    Args:
        idle: Seconds after which a worker that is asked nothing is ended.
    """

    def __init__(self, idle: float = IDLE) -> None:
        self._idle = idle
        self._lock = threading.Lock()
        self._owner = 0  # the process that started it
        self._environment: str | None = None
        self._connection: WorkerConnection | None = None
        self._open = ExitStack()
        self._timer: threading.Timer | None = None

    def predict(self, planner: Planner, trained: TrainedModel, params: PredictParams) -> PredictResult:
        """Ask the worker of the model's environment; it is started where another one, or none, is warm.

        Raises:
            WorkerCrashedError: it died; the next call starts another one.
            VisiontrainError: it answered with an error.
        """
        with self._lock:
            connection = self._connect(planner, trained)
            try:
                return structure(PredictResult, connection.request("predict", params))
            except VisiontrainError as error:
                if isinstance(error, (WorkerCrashedError, ProtocolError)):
                    self._end()
                raise
            except BaseException:  # a Ctrl-C: its answer would be taken for that to the next question
                self._end()
                raise
            finally:
                self._wait_idly()

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            self._end()

    def _connect(self, planner: Planner, trained: TrainedModel) -> WorkerConnection:
        if self._timer is not None:
            self._timer.cancel()
        wanted = str(trained.environment.in_use_path)
        if self._connection is not None and (self._owner, self._environment) == (os.getpid(), wanted):
            return self._connection
        self._end()
        with ExitStack() as opening:
            opening.enter_context(planner.store.hold(trained.environment))
            command = planner.command(trained.framework, trained.environment, {})
            connection = opening.enter_context(WorkerConnection(command, timeout=PATIENCE))
            connection.initialize()
            self._open = opening.pop_all()
        self._owner, self._environment, self._connection = os.getpid(), wanted, connection
        return connection

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        opened, self._open, self._connection = self._open, ExitStack(), None
        if self._owner == os.getpid():  # a forked child must not end what is its parent's
            opened.close()

    def _wait_idly(self) -> None:
        if self._connection is not None:
            self._timer = threading.Timer(self._idle, self._end_if_idle)
            self._timer.daemon = True
            self._timer.start()

    def _end_if_idle(self) -> None:
        # A request that has come meanwhile holds the lock, and will set another timer.
        if self._lock.acquire(blocking=False):
            try:
                if self._timer is threading.current_thread():
                    self._end()
            finally:
                self._lock.release()
