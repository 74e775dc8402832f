"""Whatever a host says, a worker answers it, and then the next right request."""

from __future__ import annotations

import json
import os
import queue
import select
import threading

import pytest
from hypothesis import given
from visiontrain_harness.runs import params
from visiontrain_harness.spoiled import spoiled_lines

from visiontrain.protocol.codec import decode, encode
from visiontrain.protocol.messages import InitializeParams, Notification, Request, Response
from visiontrain.protocol.structure import unstructure
from visiontrain.worker import serve
from visiontrain.worker.stdio import Pipe

TRAINER = "visiontrain_defects.base:Healthy"
#: Above every id that a few changed bytes can make.
PING, SHUTDOWN = 10**200, 10**200 + 1
PATIENCE = 30.0

SAID = [
    encode(Request(1, "initialize", unstructure(InitializeParams(1, TRAINER, "r")))),
    encode(Request(2, "models")),
    encode(Request(3, "train", unstructure(params("r", "/a/folder/that/is/not/there/at/all")))),
    encode(Request(4, "ping")),
    encode(Request(5, "initialize", unstructure(InitializeParams(2, TRAINER)))),
    encode(Notification("stop")),
    encode(Notification("later", {"a": [1.5, None]})),
    encode(Response(6, {"a": "é"})),
]


@pytest.fixture
def host(monkeypatch):
    """Holds a session with a server in this process; gives what it answered."""
    ended = queue.SimpleQueue()
    monkeypatch.setattr(serve, "_die_with_host", lambda: ended.put(True))

    def session(data: bytes) -> list[Response]:
        requests, to_worker = os.pipe()
        from_worker, answers = os.pipe()
        server = threading.Thread(target=serve.Server(Pipe(requests, answers)).serve, daemon=True)
        server.start()
        os.write(to_worker, data + b"\n" + encode(Request(PING, "ping")) + encode(Request(SHUTDOWN, "shutdown")))
        said = b""
        while (b'"id":%d,' % SHUTDOWN) not in said or not said.endswith(b"\n"):
            assert select.select([from_worker], [], [], PATIENCE)[0], f"no answer after {said!r}"
            said += os.read(from_worker, 1 << 16)
        server.join(PATIENCE)
        assert not server.is_alive()
        os.close(to_worker)
        ended.get(timeout=PATIENCE)  # its reader has met the end
        for fd in (requests, answers, from_worker):
            os.close(fd)
        return [decode(line) for line in said.splitlines()]

    return session


def test_every_message_is_answered_and_so_is_the_next(host):
    @given(spoiled_lines(SAID))
    def answered(data):
        answers = host(data)
        assert all(isinstance(answer, Response) for answer in answers)
        assert answers[-1] == Response(SHUTDOWN)
        assert Response(PING) in answers
        ids = [answer.id for answer in answers if answer.id is not None]
        assert len(set(ids)) == len(ids)
        # One answer a line, notifications apart.
        silent = sum(1 for line in data.split(b"\n") if b'"stop"' in line)
        assert len(data.split(b"\n")) - silent <= len(answers) - 2 + silent

    answered()


def test_what_is_right_among_what_is_wrong_is_done(host):
    first, wrong, models = SAID[0], b"\xff\n", SAID[1]
    answers = host(wrong + first + wrong + models + wrong)
    by_id = {answer.id: answer for answer in answers}
    assert json.loads(encode(by_id[2]))["result"] == [{"name": "defect", "tasks": ["classify"], "pretrained": []}]
    assert sum(answer.id is None for answer in answers) == 4  # the last line that is empty among them
