from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from visiontrain.datasets.masks import Mask
from visiontrain.datasets.objects import Keypoint, Object, Skeleton, object_of, row_of

SINGLE = st.floats(-1e6, 1e6, width=32)
POLYGONS = st.lists(st.lists(SINGLE, min_size=6, max_size=20).map(tuple), max_size=4).map(tuple)


@given(
    box=st.tuples(*[st.floats(0, 1e6)] * 4),
    polygons=POLYGONS,
    keypoints=st.lists(st.builds(Keypoint, SINGLE, SINGLE, st.integers(0, 2)), max_size=5).map(tuple),
    quad=st.none() | st.tuples(*[SINGLE] * 8),
    flags=st.tuples(*[st.booleans()] * 3),
)
def test_an_object_comes_back_from_its_row(box, polygons, keypoints, quad, flags):
    mask = Mask.from_counts(3, 4, (2, 5, 5))
    crowd, difficult, truncated = flags
    found = Object(3, box, polygons, mask, keypoints, quad, crowd, difficult, truncated)
    assert object_of(3, row_of(found)) == found


def test_an_object_with_a_box_alone_takes_no_more():
    row = row_of(Object(0, (1.5, 2.0, 3.25, 4.0)))
    assert row == (1.5, 2.0, 3.25, 4.0, 0, None, None, None, None)
    assert object_of(0, row) == Object(0, (1.5, 2.0, 3.25, 4.0))


def test_crowds_and_difficult_objects_are_passed_over():
    box = (0.0, 0.0, 1.0, 1.0)
    assert Object(0, box, crowd=True).ignored
    assert Object(0, box, difficult=True).ignored
    assert not Object(0, box, truncated=True).ignored


def test_a_skeleton_comes_back_from_its_text():
    skeleton = Skeleton(("nose", "left_eye", "right_eye"), ((0, 1), (0, 2)), (0, 2, 1), visibility=False)
    assert Skeleton.from_json(skeleton.to_json()) == skeleton
