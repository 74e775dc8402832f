from __future__ import annotations

import json
import os

import pytest

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import EVENT_PREFIX, MAX_LINE, encode, encode_event
from visiontrain.protocol.events import LogEvent, event_to_json
from visiontrain.protocol.messages import Notification, Request, Response
from visiontrain.supervisor.inbox import Inbox, RawEvents


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            continue


@pytest.fixture
def inbox(pipe):
    return Inbox(pipe[0], "r")


@pytest.fixture
def write(pipe):
    return lambda data: os.write(pipe[1], data)


def event(seq, **fields):
    return {**event_to_json(LogEvent("r", seq, 0.0, 0.0)), **fields}


def point(seq, **fields):
    """As a worker spells it."""
    head = {"type": "metrics", "run_id": "r", "seq": seq, "source": "worker", "time": 0.0, "monotonic": 0.0}
    return {**head, "step": 1, "epoch": 1, "scope": "step", "values": {"train_loss": 0.5}, "non_finite": {}, **fields}


def test_messages_in_pieces(inbox, write):
    data = encode_event(event(1)) + encode(Response(2, {"x": 1})) + encode_event(event(2))
    found = []
    for start in range(0, len(data), 7):
        write(data[start : start + 7])
        found += inbox.read()
    assert inbox.read() == []
    first, answer, second = found
    assert isinstance(first, RawEvents)
    assert (first.value, second.value) == (event(1), event(2))
    assert json.loads(first.lines) == event(1)
    assert answer == Response(2, {"x": 1})
    assert inbox.received == len(data)


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"params": event(1), "method": "event", "jsonrpc": "2.0"}),
        json.dumps({"jsonrpc": "2.0", "method": "event", "params": event(1)}),
        EVENT_PREFIX.decode() + json.dumps(event(1)) + ',"later":{"x":{}}}',
        EVENT_PREFIX.decode() + json.dumps(event(1)) + ',"later":1}',
        EVENT_PREFIX.decode() + json.dumps(event(1)) + " } \r",
    ],
)
def test_an_event_in_another_spelling_is_the_same_event(inbox, write, line):
    write(line.encode() + b"\n" + encode_event(event(2)))
    first, second = inbox.read()
    assert (first.value, second.value) == (event(1), event(2))
    assert json.loads(first.lines) == event(1)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([b"nonsense\n"], "not strict JSON"),
        ([b"\n"], "not strict JSON"),
        ([EVENT_PREFIX + b"{\n"], "not strict JSON"),
        ([EVENT_PREFIX + b'{"a":NaN}}\n'], "not strict JSON"),
        ([EVENT_PREFIX + b"[]}\n"], "expected an object"),
        ([EVENT_PREFIX + b"{}}\n"], "not an object with a type"),
        ([encode_event(event(1, run_id="other"))], "of the run 'other'"),
        ([encode_event(event(2))], "event 2 came where number 1 was due"),
        ([encode_event(event(1)), encode_event(event(1))], "event 1 came where number 2 was due"),
        ([encode_event(event(1)), encode_event(event(3))], "event 3 came where number 2 was due"),
        ([encode(Request(1, "train"))], "'train', which only a host may"),
        ([encode(Notification("stop"))], "'stop', which only a host may"),
    ],
)
def test_what_a_worker_may_not_say(inbox, write, lines, words):
    write(b"".join(lines))
    with pytest.raises(ProtocolError, match=words):
        inbox.read()


def test_points_between_epochs_come_together(inbox, write):
    write(b"".join(encode_event(point(seq)) for seq in range(1, 6)))
    (found,) = inbox.read()
    assert found.value is None
    assert [json.loads(line) for line in found.lines.split(b"\n")] == [point(seq) for seq in range(1, 6)]


def test_what_a_run_turns_on_comes_alone(inbox, write):
    write(b"".join(encode_event(said) for said in (point(1), event(2), point(3, scope="epoch"), point(4))))
    found = inbox.read()
    assert [message.value for message in found] == [point(1), event(2), point(3, scope="epoch"), point(4)]
    assert [json.loads(message.lines) for message in found] == [message.value for message in found]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seq": 2}, "event 2 came where number 3 was due"),
        ({"seq": 4}, "event 4 came where number 3 was due"),
        ({"run_id": "other"}, "of the run 'other'"),
        ({"step": "1"}, "MetricsEvent.step: expected int, got str"),
        ({"step": 1.5}, "MetricsEvent.step: expected int, got float"),
        ({"values": {"train_loss": "0.5"}}, "MetricsEvent.values.train_loss: expected float, got str"),
        ({"non_finite": {"train_loss": 1}}, "MetricsEvent.non_finite.train_loss: expected str, got int"),
        ({"scope": "later"}, "MetricsEvent.scope: expected one of"),
        ({"type": None}, "not an object with a type"),
    ],
)
def test_one_of_many_points_that_is_wrong(inbox, write, change, words):
    write(b"".join(map(encode_event, (point(1), point(2), {**point(3), **change}, point(4)))))
    with pytest.raises(ProtocolError, match=words):
        inbox.read()


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" + b"0" * 400 + b".0"])
@pytest.mark.parametrize("place", ["time", "values"])
def test_a_number_that_is_too_large_among_the_many(inbox, write, number, place):
    old = b'"time":0.0' if place == "time" else b'"train_loss":0.5'
    line = encode_event(point(2))
    assert old in line
    write(encode_event(point(1)) + line.replace(old, old.partition(b":")[0] + b":" + number))
    with pytest.raises(ProtocolError, match="too large"):
        inbox.read()


def test_two_objects_where_one_is_due(inbox, write):
    two = json.dumps(event(1)).encode() + b"," + json.dumps(event(2)).encode()
    write(EVENT_PREFIX + two + b"}\n")
    with pytest.raises(ProtocolError, match="not strict JSON"):
        inbox.read()


def test_a_line_without_end_does_not_fill_the_memory(inbox, write):
    for _ in range(MAX_LINE // 2**15):
        write(b"x" * 2**15)
        assert inbox.read() == []
    write(b"x")
    with pytest.raises(ProtocolError, match="longer than"):
        inbox.read()


def test_its_end(inbox, write, pipe):
    write(encode_event(event(1)) + b"half a li")
    os.close(pipe[1])
    assert len(inbox.read()) == 1
    assert not inbox.ended
    assert inbox.read() == []
    assert inbox.ended
