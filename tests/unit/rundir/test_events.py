from __future__ import annotations

import sys

import pytest

from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import LogEvent, event_to_json
from visiontrain.rundir.events import CHUNK, EventReader, read_events


def line(seq, message="m"):
    return dumps(event_to_json(LogEvent("r", seq, 0.0, 0.0, message=message))) + b"\n"


def seqs(events):
    return [event.seq for event in events]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def test_each_event_once_while_the_file_grows(path):
    reader = EventReader(path)
    assert reader.read() == []
    path.write_bytes(line(1) + line(2)[:10])
    assert seqs(reader.read()) == [1]
    assert reader.read() == []
    path.write_bytes(line(1) + line(2) + line(3))
    assert seqs(reader.read()) == [2, 3]
    assert reader.read() == []


def test_from_an_offset_on(path):
    path.write_bytes(line(1) + line(2))
    assert seqs(EventReader(path, offset=len(line(1))).read()) == [2]


@pytest.mark.parametrize(
    "other", [b"{torn\n", b"\n", b"\xff\n", b"[]\n", b'{"type":"log"}\n', b'{"type":"of a later version"}\n', b"NaN\n"]
)
def test_what_is_no_event_is_passed_over(path, other):
    path.write_bytes(other + line(1) + other + line(2) + other)
    assert seqs(read_events(path)) == [1, 2]


def test_a_torn_last_line_is_none(path):
    path.write_bytes(line(1) + line(2)[:-5])
    assert seqs(read_events(path)) == [1]


def test_events_of_more_than_one_read(path):
    long = "x" * (CHUNK // 3)
    path.write_bytes(b"".join(line(seq, long) for seq in range(1, 12)))
    assert seqs(read_events(path)) == list(range(1, 12))


def test_a_long_stretch_of_other_lines_is_not_the_end(path):
    path.write_bytes((b"x" * 99 + b"\n") * (3 * CHUNK // 100) + line(1))
    assert seqs(read_events(path)) == [1]


def test_a_stretch_of_other_lines_may_be_of_any_length(path, monkeypatch):
    monkeypatch.setattr("visiontrain.rundir.events.CHUNK", 100)
    path.write_bytes((b"x" * 99 + b"\n") * 2 * sys.getrecursionlimit() + line(1))
    assert seqs(read_events(path)) == [1]


def test_without_a_file_there_are_none(path):
    assert list(read_events(path)) == []
