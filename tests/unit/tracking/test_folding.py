"""From events to points: each once, whatever a run did again."""

from __future__ import annotations

import pytest

from visiontrain.protocol.events import ArtifactEvent, MetricsEvent, ResumedEvent, StatusEvent
from visiontrain.tracking.folding import begin_piece, fold
from visiontrain.tracking.state import TrackingState

STATE = TrackingState("mlflow", None, "visiontrain")


def epoch(number, *, step=None, scope="epoch", **values):
    return MetricsEvent("r", 1, float(number), 0.0, step=step or 10 * number, epoch=number, scope=scope, values=values)


def resumed(step, *, exact=True):
    return ResumedEvent("r", 1, 100.0, 0.0, step=step, epoch=step / 10, exact=exact)


def points(events, tmp_path, *, state=STATE, kind="train"):
    piece = begin_piece(state)
    fold(events, piece, tmp_path, kind=kind)
    return [(point.name, point.step, point.value) for point in piece.points]


def test_an_epoch_has_its_number_and_its_metrics_at_the_optimizer_s_step(tmp_path):
    assert points([epoch(1, loss=0.5)], tmp_path) == [("epoch", 10, 1.0), ("loss", 10, 0.5)]


def test_points_between_epochs_go_by_another_name(tmp_path):
    told = points([epoch(1, step=10, scope="step", loss=0.7), epoch(1, loss=0.5)], tmp_path)
    assert told == [("step/loss", 10, 0.7), ("epoch", 10, 1.0), ("loss", 10, 0.5)]


def test_what_an_exact_resume_does_again_is_left_out(tmp_path):
    events = [epoch(1, loss=0.5), epoch(2, loss=0.4), resumed(10), epoch(2, loss=0.4), epoch(3, loss=0.3)]
    told = points(events, tmp_path)
    assert [point for point in told if point[0] == "loss"] == [("loss", 10, 0.5), ("loss", 20, 0.4), ("loss", 30, 0.3)]


def test_what_a_resume_does_otherwise_is_sent(tmp_path):
    events = [epoch(1, loss=0.5), epoch(2, loss=0.4), resumed(10, exact=False), epoch(2, loss=0.41)]
    assert [value for name, _, value in points(events, tmp_path) if name == "loss"] == [0.5, 0.4, 0.41]


def test_a_metric_that_comes_twice_at_a_step_of_one_attempt_is_sent_twice(tmp_path):
    assert len(points([epoch(1, loss=0.5), epoch(1, loss=0.6)], tmp_path)) == 4


@pytest.mark.parametrize("cut", range(6))
def test_it_does_not_matter_where_a_record_is_cut(cut, tmp_path):
    events = [epoch(1, loss=0.5), epoch(2, loss=0.4), resumed(10), epoch(2, loss=0.4), epoch(3, loss=0.3)]
    first, second = begin_piece(STATE), None
    fold(events[:cut], first, tmp_path, kind="train")
    state = TrackingState("mlflow", None, "visiontrain", reached=first.reached, again=first.again)
    second = begin_piece(state)
    fold(events[cut:], second, tmp_path, kind="train")
    told = [(point.name, point.step) for point in (*first.points, *second.points) if point.name == "loss"]
    assert told == [("loss", 10), ("loss", 20), ("loss", 30)]


def test_a_training_s_end_has_the_best_epoch_s_numbers_and_an_evaluation_s_its_own(tmp_path):
    end = StatusEvent("r", 1, 9.0, 0.0, status="completed", metrics={"accuracy": 0.9})
    assert points([epoch(1, loss=0.5), end], tmp_path)[-1] == ("best/accuracy", 10, 0.9)
    assert points([end], tmp_path, kind="evaluate") == [("accuracy", 0, 0.9)]


def test_what_is_not_finite_says_what_it_is(tmp_path):
    piece = begin_piece(STATE)
    event = MetricsEvent("r", 1, 1.0, 0.0, step=1, epoch=1, values={"loss": None}, non_finite={"loss": "-Infinity"})
    fold([event], piece, tmp_path, kind="train")
    assert (piece.points[-1].value, piece.points[-1].non_finite) == (None, "-Infinity")


def test_a_file_that_is_written_again_is_sent_once(tmp_path):
    piece = begin_piece(STATE)
    events = [ArtifactEvent("r", number, 1.0, 0.0, path="artifacts/curves.svg") for number in (1, 2)]
    fold(events, piece, tmp_path, kind="train")
    (file,) = piece.files.values()
    assert (file.path, file.name) == (str(tmp_path / "artifacts/curves.svg"), "curves.svg")
