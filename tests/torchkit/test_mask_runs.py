import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrain.datasets.masks import Mask
from visiontrain.torchkit.mask_runs import mask_pixels, mask_runs


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_pixels_become_runs_and_pixels_again(height, width, seed, share):
    pixels = np.random.default_rng(seed).random((height, width)) < share
    runs = mask_runs(pixels, left=0, top=0, width=width, height=height)
    assert np.array_equal(mask_pixels(height, width, runs.data.encode()), pixels)


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=12))
def test_runs_of_any_length_are_read_as_the_core_reads_them(counts):
    height = sum(counts) + 1
    mask = Mask.from_counts(height, 1, [*counts, 1])
    wanted = np.frombuffer(mask.pixels(), dtype=np.uint8).astype(bool)
    assert np.array_equal(mask_pixels(height, 1, mask.data)[:, 0], wanted)


@pytest.mark.parametrize("inside", [True, False])
def test_all_of_an_image_or_nothing(inside):
    runs = mask_runs(np.full((3, 5), inside), left=0, top=0, width=5, height=3)
    assert (mask_pixels(3, 5, runs.data.encode()) == inside).all()
