"""Diagrams of a training: what is drawn where, and what is not drawn."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from visiontrain.report.charts import charts_of, draw_chart, ticks

SVG = "{http://www.w3.org/2000/svg}"


def rows(**columns):
    count = len(next(iter(columns.values())))
    return [
        {
            "epoch": float(number + 1),
            "step": 10.0 * number,
            **{name: values[number] for name, values in columns.items()},
        }
        for number in range(count)
    ]


def titles(charts):
    return [ET.fromstring(chart).find(f"{SVG}title").text for chart in charts]


def lines(chart):
    """Points of the lines by the name that the mouse shows."""
    found = {}
    for line in ET.fromstring(chart).iter(f"{SVG}polyline"):
        hint = line.find(f"{SVG}title")
        if hint is not None:
            points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
            found.setdefault(hint.text, []).append(points)
    return found


def test_losses_come_first_and_each_head_has_a_diagram():
    two = (0.5, 0.25)
    history = rows(
        learning_rate=two, map50=two, val_loss=two, map50_mask=two, train_box_loss=two, train_loss=two, map50_box=two
    )
    charts = charts_of(history, "map50")
    assert titles(charts) == [
        *("Loss", "Metrics", "Metrics of boxes", "Metrics of masks", "What the loss is made of", "Learning rate")
    ]
    assert list(lines(charts[0])) == ["train_loss", "val_loss"]


def test_one_epoch_is_no_line():
    assert charts_of(rows(train_loss=(0.5,)), None) == []
    assert charts_of([], None) == []


def test_higher_is_further_up_and_later_further_right():
    ((first, second),) = lines(draw_chart("t", {"a": [(1, 0.2), (2, 0.9)]}))["a"]
    assert first[0] < second[0]
    assert first[1] > second[1]


def test_a_line_is_interrupted_where_a_number_is_not_finite():
    history = rows(train_loss=(3.0, 2.0, math.nan, math.inf, 1.0, 0.5))
    (chart,) = charts_of(history, None)
    assert [len(piece) for piece in lines(chart)["train_loss"]] == [2, 2]
    assert charts_of(rows(train_loss=(math.nan, math.nan)), None) == []


def test_what_is_measured_every_other_epoch_is_one_line():
    history = [
        {"epoch": float(n), "step": n, "train_loss": 1 / n, **({"map": n / 9} if n % 2 else {})} for n in range(1, 8)
    ]
    drawn = lines(charts_of(history, "map")[1])
    assert [len(piece) for piece in drawn["map"]] == [4]


def test_a_number_between_two_that_are_not_finite_is_seen():
    (chart,) = charts_of(rows(train_loss=(math.nan, 2.0, math.nan), val_loss=(1.0, 1.5, 2.0)), None)
    ((first, last),) = lines(chart)["train_loss"]
    assert first[0] < last[0]


def test_the_best_epoch_is_marked():
    chart = draw_chart("t", {"a": [(1, 0.0), (2, 1.0), (3, 0.5)]}, best=2)
    ((top, _),) = lines(chart)["best epoch: 2"]
    assert top[0] == lines(chart)["a"][0][1][0]


def test_a_constant_is_drawn():
    assert len(lines(draw_chart("t", {"a": [(1, 0.0), (2, 0.0)], "b": [(1, 0.0), (2, 0.0)]}))) == 2


@pytest.mark.parametrize("pair", [(0.0, 5e-324), (-1.7e308, 1.7e308), (1.7e308, 1.7e308), (5e-324, 5e-324)])
def test_the_smallest_and_the_largest_numbers_are_drawn(pair):
    (line,) = lines(draw_chart("t", {"a": [(1, pair[0]), (2, pair[1])]}))["a"]
    assert all(math.isfinite(x) and math.isfinite(y) for x, y in line)


def test_more_names_than_a_row_has_room_for_go_on_below():
    few = ET.fromstring(draw_chart("t", {"a": [(1, 0.0), (2, 1.0)]}))
    many = ET.fromstring(draw_chart("t", {f"train_{number}_loss" * 2: [(1, 0.0), (2, 1.0)] for number in range(20)}))
    assert float(many.get("height")) > float(few.get("height"))
    assert all(float(text.get("x")) <= float(many.get("width")) for text in many.iter(f"{SVG}text"))


@pytest.mark.parametrize(
    ("lowest", "highest", "found"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.12, 0.79, [0.0, 0.2, 0.4, 0.6, 0.8]),
        (2.2, 20.4, [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]),
        (-1.0, 1.0, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        (1e-6, 3e-6, [1e-6, 1.5e-6, 2e-6, 2.5e-6, 3e-6]),
    ],
)
def test_ticks_are_round_and_span_the_range(lowest, highest, found):
    assert ticks(lowest, highest) == pytest.approx(found)


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e-12, 1e12])
def test_a_range_of_one_value_has_ticks(value):
    found = ticks(value, value)
    assert found[0] <= value <= found[-1]


@pytest.mark.parametrize(("last", "found"), [(3, [1, 2, 3]), (12, [5, 10]), (1000, [200, 400, 600, 800, 1000])])
def test_epochs_are_whole(last, found):
    assert ticks(1, last, whole=True) == found
