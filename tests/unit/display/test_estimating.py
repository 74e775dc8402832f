import time

import pytest
from visiontrain_harness.told_events import Told

from visiontrain.display.estimating import EstimateLines
from visiontrain.display.following import Following
from visiontrain.protocol.events import EstimateEvent

GIB = 2**30


@pytest.fixture(autouse=True)
def clock_of_utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def estimate(seconds, at=0.0, **fields):
    values = {"epochs": 20.0, "epoch_seconds": seconds / 20, **fields}
    return EstimateEvent(run_id="r", seq=1, time=43_200.0 + at, monotonic=at, seconds=seconds, **values)


def test_time_and_memory_in_a_line():
    line = EstimateLines().take(estimate(7800.0, memory=int(5.2 * GIB), memory_total=8 * GIB))
    assert line == "About 2 h 10 min for 20 epochs (6 min 30 s each, ends about 14:10); memory 5.2 GiB of 8.0 GiB"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (estimate(50_000.0), "ends about 02 Jan 01:53)"),
        (estimate(600.0, epochs=2.5), "About 10 min 00 s for 2.5 epochs (30 s each"),
        (estimate(600.0, epochs=1.0, epoch_seconds=600.0), "About 10 min 00 s for 1 epoch (ends about 12:10)"),
        (estimate(600.0, epochs=0.75), "for 0.75 epochs (ends about"),
        (estimate(600.0, epochs=3.96), "for 4 epochs (30 s each"),
        (estimate(600.0, memory=GIB), "; memory 1.0 GiB"),
    ],
)
def test_what_is_special_is_said(event, words):
    assert words in EstimateLines().take(event)


def test_only_what_changes_much_is_said_again():
    lines = EstimateLines()
    assert lines.take(estimate(1000.0))
    assert lines.take(estimate(950.0, at=100.0)) is None
    assert lines.take(estimate(700.0, at=110.0)) is None
    assert lines.take(estimate(1500.0, at=200.0)).startswith("Another estimate: about 25 min 00 s")
    assert lines.take(estimate(1200.0, at=500.0)) is None
    assert lines.take(estimate(3.0, at=1695.0)) is None  # half as long as it was said, and yet no news
    lines.forget()
    assert lines.take(estimate(1000.0, at=2000.0)).startswith("About")


def test_the_time_left_is_the_trainers_estimate_where_it_gives_one():
    told, following = Told(), Following(4)
    for event in (told.status(), told.progress("train", 1, 0), told.progress("train", 1, 5)):
        following.take(event)
    own = following.seconds_left(told.now)
    following.take(told.estimate(100.0))
    assert following.seconds_left(told.now) == 100.0 != own
    following.take(told.metrics(1, accuracy=0.5))
    assert following.seconds_left(told.now) == 99.0
    assert following.seconds_left(told.now + 1000) == 0.0
    following.take(told.status(attempt=2))
    assert following.seconds_left(told.now) is None
