"""The worker's loop: requests in, one at a time, on the main thread; a reader beside it.

Importing this module does nothing: multiprocessing may import it again in a child.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from types import FrameType

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import Message, decode, encode, encode_event
from visiontrain.protocol.messages import ErrorInfo, Request, Response
from visiontrain.protocol.structure import JsonObject
from visiontrain.worker.duties import Duties, UnknownMethodError, clipped
from visiontrain.worker.failure import INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, describe_exception
from visiontrain.worker.stdio import Pipe, claim

__all__ = ["Server", "main"]


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
        self._duties = Duties(self._send_event)
        self._at_work = False

    def terminate(self, _number: int, _frame: FrameType | None) -> None:
        """SIGTERM: ask the run to stop; with none under way there is nothing to keep."""
        if not self._at_work or self._duties.keeps_nothing:
            os._exit(128 + signal.SIGTERM)
        self._duties.request_stop()

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
                result = self._duties.carry_out(request.method, request.params)
            finally:
                self._at_work = False
        except BaseException as error:  # noqa: BLE001 - whatever a trainer raises becomes the request's answer
            self._at_work = False  # the interrupt may have come before it was said above
            return Response(request.id, error=_error(error))
        return Response(request.id, result=result)

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
            self._duties.stop()
        else:
            self._refuse(METHOD_NOT_FOUND, f"this worker knows no notification {clipped(message.method)}")

    def _take_request(self, request: Request) -> None:
        if self._last_id is not None and request.id <= self._last_id:
            # Not under its id: that would be taken for the answer to the first request that had it.
            reason = (
                f"the request {clipped(request.method)} has the id {request.id}, and {self._last_id} was used already"
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


def _error(error: BaseException) -> ErrorInfo:
    info = describe_exception(error)
    if isinstance(error, UnknownMethodError):
        return ErrorInfo(METHOD_NOT_FOUND, info.message, "ProtocolError")
    if isinstance(error, ProtocolError):
        return ErrorInfo(INVALID_REQUEST, info.message, "ProtocolError", info.instruction, info.traceback)
    return info


def _die_with_host() -> None:
    """Nobody is left to report to. Forked children share our process group where we lead it: none shall stay."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
