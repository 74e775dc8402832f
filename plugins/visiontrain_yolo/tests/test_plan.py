"""Which batches make which step: worked out by hand, and against Ultralytics' own rule."""

import pytest

from visiontrain_yolo.plan import Moment, Plan, falling


def test_without_warmup_every_epoch_ends_a_step():
    plan = Plan(batches=5, accumulate=2, warmup=0)
    assert [plan.at(step) for step in range(4)] == [
        Moment(0, 1, 2), Moment(0, 3, 2), Moment(0, 4, 1), Moment(1, 6, 2),
    ]  # fmt: skip
    assert plan.warmed(0) == 1.0


def test_during_warmup_steps_grow():
    plan = Plan(batches=6, accumulate=4, warmup=9)
    moments = [plan.at(step) for step in range(7)]
    assert [moment.batches for moment in moments[:4]] == [1, 1, 2, 2]
    assert [moment.last for moment in moments] == [0, 1, 3, 5, 9, 11, 15]
    assert plan.warmed(0) == 0.0
    assert plan.warmed(3) == pytest.approx(5 / 9)
    assert plan.warmed(5) == 1.0 == plan.warmed(4)


@pytest.mark.parametrize(("batches", "accumulate", "warmup"), [(1, 1, 2), (1, 1, 0), (7, 4, 21), (7, 4, 20), (3, 9, 1)])
def test_no_batch_is_left_out_and_none_counts_twice(batches, accumulate, warmup):
    plan = Plan(batches, accumulate, warmup)
    count = 0
    for step in range(200):
        moment = plan.at(step)
        count += moment.batches
        assert moment.last == count - 1
        assert moment.epoch == moment.last // batches
        assert 1 <= moment.batches <= accumulate
        assert 0 <= plan.warmed(step) <= 1


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_learning_rate_falls_from_all_to_what_is_left(schedule):
    factor = falling(schedule, 0.01, 10)
    assert factor(0) == pytest.approx(1)
    assert factor(10) == pytest.approx(0.01)
    assert all(factor(epoch) > factor(epoch + 1) for epoch in range(10))
