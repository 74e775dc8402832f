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


def test_messages_in_pieces(inbox, write):
    data = encode_event(event(1)) + encode(Response(2, {"x": 1})) + encode_event(event(2))
    found = []
    for start in range(0, len(data), 7):
        write(data[start : start + 7])
        found += inbox.read()
    assert inbox.read() == []
    first, answer, second = found
    assert isinstance(first, RawEvents)
    assert (first.values, second.values) == ([event(1)], [event(2)])
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
    assert (first.values, second.values) == ([event(1)], [event(2)])
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


def test_events_in_good_order_come_together(inbox, write):
    write(b"".join(encode_event(event(seq)) for seq in range(1, 6)))
    (found,) = inbox.read()
    assert found.values == [event(seq) for seq in range(1, 6)]
    assert [json.loads(line) for line in found.lines.split(b"\n")] == found.values


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" + b"0" * 400 + b".0"])
@pytest.mark.parametrize("place", ["time", "values"])
def test_a_number_that_is_too_large_among_the_many(inbox, write, number, place):
    point = {"scope": "step", "step": 1, "epoch": 1, "values": {"train_loss": 0.5}, "non_finite": {}}
    lines = [encode_event({**event(seq), "type": "metrics", **point}) for seq in (1, 2)]
    write(b"".join(lines))
    (found,) = inbox.read()
    assert found.notable == []
    old = b'"time":0.0' if place == "time" else b'"train_loss":0.5'
    assert old in lines[0]
    spoiled = lines[0].replace(b'"seq":1', b'"seq":3').replace(old, old.partition(b":")[0] + b":" + number)
    write(spoiled)
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
