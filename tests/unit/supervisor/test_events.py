from __future__ import annotations

import errno
import os

import pytest

from visiontrain.protocol.codec import loads
from visiontrain.protocol.events import StatusEvent
from visiontrain.supervisor.events import EventLog


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def test_lines_are_written_together_at_a_flush(path):
    log = EventLog(path, "r")
    log.append(b'{"a":1}')
    log.append(b'{"b":2}')
    assert path.read_bytes() == b""
    assert log.flush()
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'
    assert not log.flush()
    log.append(b'{"c":3}')
    log.close()
    assert path.read_bytes().splitlines()[-1] == b'{"c":3}'


def test_its_own_events_have_numbers_of_their_own(path):
    log = EventLog(path, "r")
    log.emit(StatusEvent, status="running", attempt=2)
    log.append(b'{"seq":7}')
    log.emit(StatusEvent, status="completed", attempt=2)
    log.close()
    first, _, last = map(loads, path.read_bytes().splitlines())
    assert (first["seq"], last["seq"]) == (1, 2)
    assert (first["type"], first["source"], first["run_id"], first["attempt"]) == ("status", "supervisor", "r", 2)


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"whole\n", b"whole\n"), (b"tor", b"tor\n")])
def test_a_line_that_an_earlier_attempt_left_unfinished_is_closed_off(path, before, after):
    path.write_bytes(before)
    log = EventLog(path, "r")
    log.append(b"{}")
    log.close()
    assert path.read_bytes() == after + b"{}\n"


def test_a_write_that_breaks_off_is_taken_up_where_it_stopped(path, monkeypatch):
    log = EventLog(path, "r")
    log.append(b'{"a":1}')
    left = [4]  # bytes that fit on the disk

    def write(fd, data, real=os.write):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        room, left[0] = left[0], 0
        return real(fd, data[:room])

    with monkeypatch.context() as full:
        full.setattr(os, "write", write)
        with pytest.raises(OSError, match="No space"):
            log.flush()
    log.append(b'{"b":2}')
    log.close()
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'
