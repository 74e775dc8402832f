from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from visiontrain.datasets.geometry import bounds, clip_box, clip_polygon, polygon_area, scaled


def test_scaled_takes_x_by_the_width_and_y_by_the_height():
    assert scaled((0.5, 0.5, 1.0, 0.25), 200, 100) == (100.0, 50.0, 200.0, 25.0)


def test_bounds_and_area_of_a_triangle():
    triangle = (1.0, 1.0, 5.0, 1.0, 1.0, 4.0)
    assert bounds(triangle) == (1.0, 1.0, 5.0, 4.0)
    assert polygon_area(triangle) == 6.0


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((-5.0, -1.0, 20.0, 30.0), (0.0, 0.0, 10.0, 8.0)),
        ((2.0, 3.0, 4.0, 5.0), (2.0, 3.0, 4.0, 5.0)),
        ((20.0, 3.0, 30.0, 5.0), (10, 3.0, 10, 5.0)),
        ((-9.0, 3.0, -2.0, 5.0), (0.0, 3.0, 0.0, 5.0)),
    ],
)
def test_a_box_is_cut_at_the_edges(box, inside):
    assert clip_box(box, 10, 8) == inside


def test_a_polygon_is_cut_at_the_edges_and_not_bent():
    # A diamond around the corner: the part inside is a triangle, where moving points to the edge would give a square.
    assert polygon_area(clip_polygon((-4.0, 0.0, 0.0, -4.0, 4.0, 0.0, 0.0, 4.0), 10, 10)) == pytest.approx(8.0)
    assert clip_polygon((1.0, 1.0, 5.0, 1.0, 1.0, 4.0), 10, 10) == (1.0, 1.0, 5.0, 1.0, 1.0, 4.0)
    assert clip_polygon((20.0, 1.0, 25.0, 1.0, 21.0, 4.0), 10, 10) == ()


@given(st.lists(st.floats(-50, 150), min_size=6, max_size=16).filter(lambda values: len(values) % 2 == 0))
def test_what_is_cut_lies_inside(values):
    found = clip_polygon(values, 100, 80)
    assume(found)
    assert all(0 <= x <= 100 for x in found[0::2])
    assert all(0 <= y <= 80 for y in found[1::2])
