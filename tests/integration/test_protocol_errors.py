"""A worker that does not keep to the protocol: the run fails, and says what was wrong."""

from __future__ import annotations

import json

import pytest
from visiontrain_harness.processes import PATIENCE, alive
from visiontrain_harness.runs import command

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import EVENT_PREFIX, MAX_LINE
from visiontrain.protocol.events import LogEvent, MetricsEvent, event_to_json
from visiontrain.runners.connection import WorkerConnection

RESULT = '{"status":"completed","epochs":1.0}'


def answer(number, result=RESULT):
    return f'{{"jsonrpc":"2.0","id":{number},"result":{result}}}'


def event(cls=LogEvent, seq=1, run_id="RUN", **fields):
    made = event_to_json(cls(run_id, seq, 0.0, 0.0))
    return EVENT_PREFIX.decode() + json.dumps({**made, **fields}) + "}"


@pytest.fixture
def failure(start):
    """The error that ends a run with this trainer; the worker is gone then."""

    def failure(trainer, **options):
        handle = start(trainer, **options)
        with pytest.raises(ProtocolError) as caught:
            handle.wait(timeout=PATIENCE)
        record = handle.run.record
        assert (record.status, record.error.type) == ("failed", "ProtocolError")
        assert record.worker is None or not alive(record.worker.pid)
        return str(caught.value)

    return failure


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["nonsense"], "not strict JSON"),
        (["\xff\xfe"], "not strict JSON"),
        (["[" * 100_000], "not strict JSON"),
        (['{"jsonrpc":"1.0","id":2,"result":null}'], "not a JSON-RPC 2.0 message"),
        ([answer(77)], "answered the request 77, which was never asked"),
        ([answer(3)], "answered the request 3, which was never asked"),
        ([answer(1)], "answered the request 1, which it has answered already"),
        ([answer(2), answer(2)], "answered the request 2, which it has answered already"),
        ([answer("null")], "an answer without an id"),
        ([answer(2, '{"status":"done","epochs":1.0}')], "expected one of 'completed', 'stopped', got 'done'"),
        (['{"jsonrpc":"2.0","id":1,"method":"train","params":{}}'], "'train', which only a host may"),
        (['{"jsonrpc":"2.0","method":"later","params":{}}'], "'later', which only a host may"),
        ([event(run_id="other")], "an event of the run 'other'"),
        ([event(seq=2)], "event 2 came where number 1 was due"),
        ([event(), event()], "event 1 came where number 2 was due"),
        ([event(), event(seq=3)], "event 3 came where number 2 was due"),
        # With a value of another type it would be passed over by whoever reads the record.
        ([event(message=5)], "LogEvent.message: expected str, got int"),
        ([event(type=5)], "not an object with a type"),
        ([event(MetricsEvent, scope="batch")], "MetricsEvent.scope: expected one of 'epoch', 'step', got 'batch'"),
        ([event(MetricsEvent, values={"accuracy": "0.5"})], "MetricsEvent.values.accuracy"),
        ([event(MetricsEvent, values={"accuracy": 5e307}).replace("5e+307", "5e999")], "too large for a float"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_fails_and_says_what_its_worker_said_wrong(failure, lines, words):
    assert words in failure("says_nonsense:SaysLines", lines=lines)


def test_a_line_without_end_fills_nobody_s_memory(failure):
    assert "a line longer than 16,777,216 bytes" in failure("says_nonsense:SaysOneLine", bytes=MAX_LINE + 2**20)


def test_an_answer_that_comes_before_it_was_asked_for(failure):
    assert "answered the request 2, which was never asked" in failure("says_nonsense:AnswersTooEarly")


def test_what_a_thread_reports_after_the_training_is_refused_there_and_harms_nothing(start):
    handle = start("says_nonsense:ReportsAfterwards")
    told = [each.message for each in handle.events(timeout=PATIENCE) if isinstance(each, LogEvent)]
    assert (handle.status, told) == ("completed", ["in time"])
    assert "refused: the run is over: a log event came after the trainer had returned" in handle.run.log


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ("AsksTheHost", "'models' where an answer was due"),
        ("ChattersOn", "answered request 2 where 1 was asked"),
    ],
)
def test_questions_are_answered_in_order_or_not_at_all(tmp_path, trainer, words):
    asked = command(tmp_path, f"says_nonsense:{trainer}")
    with WorkerConnection(asked) as worker, pytest.raises(ProtocolError, match=words):
        ask_all(worker)


def ask_all(worker):
    worker.initialize()
    worker.request("models")


def test_an_answer_to_the_next_question_is_not_taken_for_its_answer(tmp_path):
    with WorkerConnection(command(tmp_path, "says_nonsense:AnswersNext")) as worker:
        worker.initialize()
        worker.request("models")
        with pytest.raises(ProtocolError, match="something before it was asked"):
            worker.request("models")
