"""A training that goes on does not feel that it is sent."""

from __future__ import annotations

import pytest

from visiontrain.tracking.pace import LONGEST_DELAY, LONGEST_REST, PATIENCE, POLL, SAMPLE_EVERY, Pace


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pace(clock):
    return Pace(clock)


def rest(pace, clock, *, over=False):
    """Seconds until the next piece."""
    began = clock.now
    while not pace.look(over=over)[0]:
        assert pace.nap > 0
        clock.now += pace.nap
    return clock.now - began


def test_the_first_look_sends_and_samples(pace):
    assert pace.look(over=False) == (True, True)


def test_pieces_take_a_tenth_of_the_time_while_the_training_goes_on(pace, clock):
    pace.look(over=False)
    pace.sent(0.5)
    assert rest(pace, clock) == pytest.approx(4.5)


@pytest.mark.parametrize(("took", "expected"), [(0.0, POLL), (60.0, LONGEST_REST)])
def test_a_rest_is_neither_shorter_than_a_look_nor_long_where_a_server_is_slow(pace, clock, took, expected):
    pace.look(over=False)
    pace.sent(took)
    assert rest(pace, clock) == pytest.approx(expected)


def test_the_end_of_the_run_ends_the_rest_and_what_is_left_is_sent_at_once(pace, clock):
    pace.look(over=False)
    pace.sent(60.0)
    assert pace.look(over=False)[0] is False
    assert pace.look(over=True) == (True, False)
    pace.sent(60.0)
    assert rest(pace, clock, over=True) < POLL


def test_the_machine_is_sampled_all_the_while_also_where_nothing_can_be_sent(pace, clock):
    samples = 0
    for _ in range(10 * int(SAMPLE_EVERY)):
        send, sample = pace.look(over=False)
        samples += sample
        if send:
            assert pace.failed()
        clock.now += 1
    assert samples == 10


def test_tries_after_failures_become_rarer_and_end_some_time_after_the_run(pace, clock):
    delays = []
    for _ in range(8):
        assert pace.look(over=False)[0]
        assert pace.failed()
        delays.append(rest(pace, clock))
    assert delays[:3] == pytest.approx([1, 2, 4])
    assert max(delays) == delays[-1] == LONGEST_DELAY
    ended, tries = clock.now, 0
    pace.look(over=True)
    while pace.failed():
        rest(pace, clock, over=True)
        tries += 1
    assert PATIENCE < clock.now - ended < PATIENCE + LONGEST_DELAY + 1
    assert tries > 2


def test_what_is_accepted_after_failures_begins_anew(pace, clock):
    pace.look(over=False)
    for _ in range(5):
        pace.failed()
    pace.sent(0.0)
    rest(pace, clock)
    pace.failed()
    assert rest(pace, clock) == pytest.approx(1)
