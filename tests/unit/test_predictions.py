from __future__ import annotations

from pathlib import Path

import pytest

from visiontrain.predictions import Prediction

SEEN = {"ant": 0.1, "bee": 0.6, "cat": 0.3}


def test_the_most_probable_is_the_label():
    found = Prediction(Path("a.jpg"), 4, 3, SEEN)
    assert (found.label, found.probability) == ("bee", 0.6)
    assert found.labels == ("bee",)
    assert found.top(2) == [("bee", 0.6), ("cat", 0.3)]
    assert found.top(2)[0].label == "bee"
    assert len(found.top5) == 3


def test_of_two_that_are_equal_the_first_class_is_it():
    assert Prediction(None, probabilities={"b": 0.5, "a": 0.5}).label == "b"


@pytest.mark.parametrize(("seen", "labels"), [(SEEN, ("bee",)), ({"a": 0.5, "b": 0.9}, ("a", "b")), ({"a": 0.4}, ())])
def test_of_several_labels_all_from_a_half_on_are_there(seen, labels):
    assert Prediction(None, probabilities=seen, multi_label=True).labels == labels


def test_of_an_image_that_can_not_be_read_nothing_is_known():
    found = Prediction(Path("a.jpg"), error="a.jpg: is no image")
    assert (found.label, found.probability, found.labels, found.top5) == (None, None, (), [])


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (Prediction(Path("a.jpg"), probabilities=SEEN), "<Prediction of a.jpg: bee 0.600>"),
        (
            Prediction(None, probabilities={"a": 0.5, "b": 0.9}, multi_label=True),
            "<Prediction of pixels: a 0.500, b 0.900>",
        ),
        (Prediction(None, probabilities={"a": 0.4}, multi_label=True), "<Prediction of pixels: no label>"),
        (Prediction(Path("a.jpg"), error="a.jpg: is no image"), "<Prediction: a.jpg: is no image>"),
    ],
    ids=["one label", "several", "none of several", "unreadable"],
)
def test_printed_it_says_what_was_found(found, shown):
    assert repr(found) == shown
