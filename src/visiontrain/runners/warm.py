"""One idle worker, kept for the next prediction: only the first one pays for imports and weights."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import ExitStack

from visiontrain.environment.locking import UseLock
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

_all: weakref.WeakSet[WarmWorker] = weakref.WeakSet()


class WarmWorker:
    """Answers predictions with the worker of one environment at a time. Thread safe: one request after the other.

    Args:
        idle: Seconds after which a worker that is asked nothing is ended.
    """

    def __init__(self, idle: float = IDLE) -> None:
        self._idle = idle
        self._lock = threading.Lock()
        self._environment: str | None = None
        self._held: UseLock | None = None  # of that environment
        self._connection: WorkerConnection | None = None
        self._open = ExitStack()  # ends both
        self._timer: threading.Timer | None = None
        _all.add(self)

    def predict(self, planner: Planner, trained: TrainedModel, params: PredictParams) -> PredictResult:
        """Ask the worker of the model's environment; it is started where another one, or none, is warm.

        Raises:
            WorkerCrashedError: it died; the next call starts another one.
            VisiontrainError: it answered with an error.
            EnvironmentBuildError: the environment was removed meanwhile.
        """
        with self._lock:
            connection = self._connect(planner, trained)
            try:
                return structure(PredictResult, connection.request("predict", params, timeout=PATIENCE))
            except WorkerCrashedError as error:
                self._end(at_once=True)
                error.instruction = error.instruction or (
                    "The next call starts another worker. If memory ran out, give a smaller batch size."
                )
                raise
            except BaseException as error:
                # After a Ctrl-C it still computes: its answer would be taken for that to the next question.
                if not isinstance(error, VisiontrainError) or isinstance(error, ProtocolError):
                    self._end(at_once=True)
                raise
            finally:
                self._wait_idly()

    def close(self) -> None:
        """End the worker, once it has answered what it was asked."""
        with self._lock:
            self._end()

    def forget(self) -> None:
        """In a forked child: the worker is the parent's, and so is whoever held the lock."""
        self._lock = threading.Lock()
        connection, held = self._connection, self._held
        self._open, self._connection, self._held, self._timer = ExitStack(), None, None, None
        if connection is not None:
            connection.forget()
        if held is not None:
            held.close()

    def _connect(self, planner: Planner, trained: TrainedModel) -> WorkerConnection:
        if self._timer is not None:
            self._timer.cancel()
        wanted = str(trained.environment.in_use_path)
        if self._connection is not None and self._environment == wanted:
            return self._connection
        self._end()
        with ExitStack() as opening:
            held = opening.enter_context(planner.store.hold(trained.environment))
            command = planner.command(trained.framework, trained.environment, {})
            connection = opening.enter_context(WorkerConnection(command))
            connection.initialize()
            self._open = opening.pop_all()
        self._environment, self._held, self._connection = wanted, held, connection
        return connection

    def _end(self, *, at_once: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
        opened, self._open = self._open, ExitStack()
        self._connection = self._held = None
        if at_once:  # as after an error: it is not asked to end by itself, which it would not hear
            opened.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        else:
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


def _forget_in_child() -> None:
    for worker in list(_all):
        worker.forget()


os.register_at_fork(after_in_child=_forget_in_child)
