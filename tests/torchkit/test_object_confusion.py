import numpy as np

from visiontrain.torchkit.object_confusion import ObjectConfusion
from visiontrain.torchkit.object_found import PlacedObjects


def objects(*rows):
    """Of label, score, and box each."""
    return PlacedObjects(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
    )


def test_what_overlaps_most_was_taken_for_it():
    confusion = ObjectConfusion(2)
    truth = objects((0, 1, [0, 0, 10, 10]), (1, 1, [20, 0, 30, 10]), (1, 1, [50, 0, 60, 10]))
    found = objects(
        (1, 0.9, [0, 0, 10, 9]), (0, 0.99, [0, 0, 10, 6]), (1, 0.3, [20, 0, 30, 10]), (0, 0.2, [50, 0, 60, 10])
    )
    confusion.add(truth, objects(), found)
    assert confusion.matrix() == [[0, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_each_box_is_one_object():
    confusion = ObjectConfusion(1)
    confusion.add(objects((0, 1, [0, 0, 10, 10]), (0, 1, [0, 0, 10, 9])), objects(), objects((0, 0.9, [0, 0, 10, 10])))
    assert confusion.matrix() == [[1, 1], [0, 0]]


def test_what_lies_in_a_crowd_is_passed_over():
    confusion = ObjectConfusion(2)
    crowd = objects((0, 1, [0, 0, 100, 100]))
    found = objects((0, 0.9, [10, 10, 20, 20]), (1, 0.9, [10, 10, 20, 20]), (0, 0.9, [96, 0, 106, 10]))
    confusion.add(objects(), crowd, found)
    assert confusion.matrix() == [[0, 0, 0], [0, 0, 0], [1, 1, 0]]


def test_nothing_at_all():
    confusion = ObjectConfusion(1)
    confusion.add(objects(), objects(), objects())
    assert confusion.matrix() == [[0, 0], [0, 0]]
