"""Masks, held against what pycocotools gives for the same pixels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrain.datasets.masks import Mask

#: (height, width, rows of pixels, COCO's compressed text, runs): made with pycocotools.
KNOWN = [
    (5, 4, ["....", ".##.", ".##.", ".##.", "...#"], b"63203N", (6, 3, 2, 3, 5, 1)),
    (200, 1, ["#"] * 100 + ["."] * 50 + ["#"] * 50, b"0T3b1^N", (0, 100, 50, 50)),
]


@pytest.mark.parametrize(("height", "width", "rows", "text", "runs"), KNOWN)
def test_known_masks_are_read_and_written_as_pycocotools_does(height, width, rows, text, runs):
    mask = Mask.from_text(height, width, text.decode())
    assert mask.counts() == runs
    assert mask == Mask.from_counts(height, width, runs)
    assert mask.pixels() == bytes(pixel == "#" for row in rows for pixel in row)
    assert mask.area == "".join(rows).count("#")


def test_a_box_is_the_smallest_around_the_pixels():
    assert Mask.from_text(5, 4, b"63203N").box() == (1.0, 1.0, 4.0, 5.0)
    assert Mask.from_counts(4, 3, (5, 2, 5)).box() == (1.0, 1.0, 2.0, 3.0)
    assert Mask.from_counts(4, 3, (3, 2, 7)).box() == (0.0, 0.0, 2.0, 4.0)  # over the end of a column
    assert Mask.from_counts(4, 3, (12,)).box() is None


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_pixels_come_back(height, width, data):
    wanted = data.draw(st.binary(min_size=height * width, max_size=height * width)).translate(bytes([0, 1] * 128))
    columns = b"".join(wanted[x::width] for x in range(width))
    counts, last = [0], 0
    for pixel in columns:
        if pixel != last:
            counts.append(0)
            last = pixel
        counts[-1] += 1
    mask = Mask.from_counts(height, width, counts)
    assert mask.pixels() == wanted
    assert Mask.from_text(height, width, mask.data).counts() == tuple(counts)
    assert mask.area == sum(wanted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"add up to 0 pixels, not to 4 x 5"),
        (b"63203", r"add up to"),
        (b"63203N1", r"add up to"),
        (b"6320\xff", "compressed text"),
        (b"63203n", "cut off"),
        (b"n" * 30, "compressed text"),
        (b"Z4O5", "negative"),
    ],
)
def test_broken_text_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Mask.from_text(5, 4, text)


def test_runs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="add up to 12 pixels"):
        Mask.from_counts(5, 4, (6, 6))
    with pytest.raises(ValueError, match="negative"):
        Mask.from_counts(5, 4, (30, -10))
    with pytest.raises(ValueError, match="0 x 5 pixels"):
        Mask.from_counts(5, 0, ())
