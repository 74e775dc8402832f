from __future__ import annotations

import signal

import pytest

from visiontrain.supervisor import stopping
from visiontrain.supervisor.launch import Deadlines
from visiontrain.supervisor.stopping import Stop


@pytest.fixture
def clock(monkeypatch):
    """The time, set by hand, and the signals that were sent."""

    class Clock:
        now = 0.0
        sent: list[tuple[float, int]]

    clock = Clock()
    clock.sent = []
    monkeypatch.setattr(stopping.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(stopping.os, "kill", lambda pid, number: clock.sent.append((clock.now, number)))
    return clock


def walk(stop, clock, *moments):
    for clock.now in moments:
        stop.advance(1)


def test_each_step_is_given_its_time(clock):
    stop = Stop.asked("asked to stop", Deadlines(stop=100.0, interrupt=10.0))
    walk(stop, clock, 0.0, 99.0)
    assert (clock.sent, stop.is_forced) == ([], False)
    walk(stop, clock, 100.0, 109.0, 110.0, 500.0)
    assert clock.sent == [(100.0, signal.SIGINT), (110.0, signal.SIGKILL)]
    assert stop.is_forced


def test_one_who_can_not_wait(clock):
    stop = Stop.at_once()
    walk(stop, clock, 0.0, 0.5, 1.0)
    assert clock.sent == [(0.0, signal.SIGINT), (1.0, signal.SIGKILL)]


def test_without_a_host_there_is_less_time(clock):
    stop = Stop.host_gone(Deadlines(host_gone=6.0))
    assert stop.status == "interrupted"
    walk(stop, clock, 5.0, 6.0, 7.0)
    assert clock.sent == [(6.0, signal.SIGINT), (7.0, signal.SIGKILL)]


@pytest.mark.parametrize(("patience", "due"), [(5.0, 6.0), (500.0, 100.0)])
def test_hastening_never_gives_more_time(clock, patience, due):
    stop = Stop.asked("asked to stop", Deadlines(stop=100.0))
    clock.now = 1.0
    stop.hasten(patience)
    walk(stop, clock, due - 0.5, due)
    assert clock.sent == [(due, signal.SIGINT)]


def test_after_hastening_nothing_is_waited_for_long(clock):
    stop = Stop.asked("asked to stop", Deadlines(stop=100.0, interrupt=10.0, shutdown=5.0))
    assert stop.shutdown == 5.0
    stop.hasten(6.0)
    walk(stop, clock, 6.0, 7.0)
    assert clock.sent == [(6.0, signal.SIGINT), (7.0, signal.SIGKILL)]
    assert stop.shutdown == 1.0


def test_a_worker_that_is_gone(clock, monkeypatch):
    def gone(pid, number):
        raise ProcessLookupError

    monkeypatch.setattr(stopping.os, "kill", gone)
    stop = Stop.at_once()
    stop.advance(1)
    assert stop.is_forced
