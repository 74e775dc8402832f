from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import LogEvent, MetricsEvent, ResumedEvent, event_to_json
from visiontrain.rundir.history import fold_history, read_history

HEAD = ("r", 1, 0.0, 0.0)
STEPS = 10  # an epoch


def row(epoch, **values):
    return MetricsEvent(*HEAD, step=epoch * STEPS, epoch=epoch, values=values)


def resumed(step):
    return ResumedEvent(*HEAD, step=step, epoch=step / STEPS)


def test_an_epoch_is_a_row():
    assert fold_history([row(1, accuracy=0.1), row(2, accuracy=0.2)]) == [
        {"epoch": 1, "step": 10, "accuracy": 0.1},
        {"epoch": 2, "step": 20, "accuracy": 0.2},
    ]


def test_metrics_of_one_epoch_are_one_row():
    assert fold_history([row(1, train_loss=1.0), row(1, accuracy=0.5)]) == [
        {"epoch": 1, "step": 10, "train_loss": 1.0, "accuracy": 0.5}
    ]


def test_points_between_and_other_events_are_no_rows():
    point = MetricsEvent(*HEAD, step=5, epoch=1, scope="step", values={"train_loss": 1.0})
    assert fold_history([point, LogEvent(*HEAD)]) == []


def test_numbers_that_are_not_finite_come_back():
    event = MetricsEvent(
        *HEAD, step=10, epoch=1, values={"a": None, "b": None}, non_finite={"a": "NaN", "b": "-Infinity"}
    )
    (found,) = fold_history([event])
    assert math.isnan(found["a"])
    assert found["b"] == -math.inf


def test_what_is_done_again_after_a_resume_counts_once():
    events = [
        row(1, accuracy=0.1),
        row(2, accuracy=0.2, gone=1.0),
        resumed(10),
        row(2, accuracy=0.3),
        row(3, accuracy=0.4),
    ]
    assert fold_history(events) == [
        {"epoch": 1, "step": 10, "accuracy": 0.1},
        {"epoch": 2, "step": 20, "accuracy": 0.3},
        {"epoch": 3, "step": 30, "accuracy": 0.4},
    ]


def test_a_resume_from_the_beginning_forgets_all():
    assert fold_history([row(1, accuracy=0.1), resumed(0)]) == []


def test_a_resume_within_an_epoch_keeps_the_epochs_before():
    assert [found["epoch"] for found in fold_history([row(1), row(2), resumed(15)])] == [1]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.data())
def test_however_often_it_is_interrupted_no_epoch_comes_twice_and_the_last_word_counts(ends, data):
    events, done, attempt_of = [], 0, {}
    for attempt, end in enumerate(ends):
        done = data.draw(st.integers(0, done)) if attempt else 0
        if attempt:
            events.append(resumed(done))
        attempt_of = {epoch: number for epoch, number in attempt_of.items() if epoch * STEPS <= done}
        for step in range(done + 1, done + end + 1):
            if step % STEPS == 0:
                events.append(row(step // STEPS, attempt=float(attempt)))
                attempt_of[step // STEPS] = attempt
        done += end
    found = fold_history(events)
    assert {entry["epoch"]: entry["attempt"] for entry in found} == attempt_of
    assert [entry["epoch"] for entry in found] == list(range(1, len(found) + 1))


def test_a_runs_folder_with_a_torn_last_line(tmp_path):
    lines = [dumps(event_to_json(row(epoch, accuracy=epoch / 10))) for epoch in (1, 2)]
    (tmp_path / "events.jsonl").write_bytes(lines[0] + b"\n" + lines[1][:-3])
    assert read_history(tmp_path) == [{"epoch": 1, "step": 10, "accuracy": 0.1}]
