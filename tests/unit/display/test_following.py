import pytest
from visiontrain_harness.told_events import Told

from visiontrain.display.following import Following


def rows(following, events):
    return [row for event in events if (row := following.take(event)) is not None]


def test_a_row_is_given_once_its_best_checkpoint_is_known():
    told, following = Told(), Following()
    assert following.take(told.metrics(1, accuracy=0.5)) is None
    row = following.take(told.checkpoint("best"))
    assert (row.epoch, row.values, row.best) == (1, {"accuracy": 0.5}, True)
    assert following.take(told.checkpoint("last")) is None


def test_an_epoch_without_a_best_checkpoint_is_not_the_best():
    told, following = Told(), Following()
    found = rows(
        following,
        [
            told.metrics(1, accuracy=0.5),
            told.checkpoint("last"),
            told.metrics(2, accuracy=0.4),
            told.progress("train", 3, 1),
            told.metrics(3, accuracy=0.3),
            told.metrics(4, accuracy=0.2),
            told.status("completed"),
        ],
    )
    assert [(row.epoch, row.best) for row in found] == [(1, False), (2, False), (3, False), (4, False)]


def test_an_epoch_that_is_told_in_parts_is_one_row():
    told, following = Told(), Following()
    (row,) = rows(following, [told.metrics(1, train_loss=2.0), told.metrics(1, accuracy=0.5), told.checkpoint("last")])
    assert row.values == {"train_loss": 2.0, "accuracy": 0.5}


def test_points_between_epochs_are_no_rows():
    told, following = Told(), Following()
    assert rows(following, [told.metrics(1, scope="step", train_loss=2.0), told.status("completed")]) == []


def test_a_log_message_between_metrics_and_checkpoint_does_not_end_the_row():
    told, following = Told(), Following()
    (row,) = rows(following, [told.metrics(1, accuracy=0.5), told.log("hm"), told.checkpoint("best")])
    assert row.best


def test_epochs_are_timed_from_the_first_batch_on():
    told, following = Told(), Following()
    found = rows(
        following,
        [
            told.status(),  # 1
            told.worker(),  # 2: loading weights follows
            told.progress("train", 1, 1),  # 3
            told.progress("val", 1, 1),  # 4
            told.metrics(1, accuracy=0.5),  # 5
            told.progress("train", 2, 1),  # 6
            told.metrics(2, accuracy=0.5),  # 7
            told.status("completed"),
        ],
    )
    assert [row.seconds for row in found] == [2.0, 2.0]


def test_nothing_is_left_to_say_before_there_is_a_pace():
    told, following = Told(), Following(4)
    assert following.seconds_left(0.0) is None
    following.take(told.progress("train", 1, 0))
    assert following.seconds_left(told.now) is None


def test_the_time_left_comes_from_the_first_batches_and_then_from_whole_epochs():
    told, following = Told(), Following(4)
    following.take(told.progress("train", 1, 0))
    following.take(told.progress("train", 1, 5))
    first = following.seconds_left(told.now)
    assert first == pytest.approx(4 / (0.85 * 0.5) - 1)
    assert following.seconds_left(told.now + 1) == pytest.approx(first - 1)
    following.take(told.metrics(1, accuracy=0.5))  # two seconds an epoch
    assert following.seconds_left(told.now) == pytest.approx(6.0)
    assert following.seconds_left(told.now + 1) == pytest.approx(5.0)
    # An epoch that takes longer than those before does not eat up the others' time.
    assert following.seconds_left(told.now + 100) == pytest.approx(4.0)


def test_the_time_left_of_a_run_whose_progress_does_not_come_here():
    told, following = Told(), Following(3)
    for event in (told.status(), told.worker(), told.metrics(1, accuracy=0.5)):
        following.take(event)
    assert following.seconds_left(told.now) == pytest.approx(2.0)
    assert following.waiting_for == "Training"


def test_a_resumed_run_counts_from_where_it_goes_on():
    told, following = Told(), Following(10)
    for event in (told.status(attempt=2), told.worker(), told.resumed(7.5), told.metrics(8, accuracy=0.5)):
        following.take(event)
    assert following.seconds_left(told.now) == pytest.approx(2.0)


def test_another_attempt_begins_anew():
    told, following = Told(), Following(4)
    for event in (told.progress("train", 1, 0), told.progress("train", 1, 5), told.status(attempt=2)):
        following.take(event)
    assert following.progress is None
    assert following.seconds_left(told.now) is None
    assert following.waiting_for == "Starting the worker"
