from collections import Counter

import pytest
import torch

from visiontrain.torchkit.data import EpochSampler
from visiontrain.torchkit.sampling import balanced_order, balanced_weights

LABELS = [0] * 50 + [1] * 5 + [3] * 8  # no image of class 2


def test_each_class_comes_as_often():
    order = balanced_order(torch.tensor(LABELS), torch.Generator().manual_seed(0))
    assert len(order) == len(LABELS)
    counts = Counter(LABELS[position] for position in order)
    assert counts == {0: 21, 1: 21, 3: 21}
    # of a small class each image as often as the others, or once more
    of_one = Counter(position for position in order if LABELS[position] == 1)
    assert sorted(of_one.values()) == [4, 4, 4, 4, 5]
    assert max(Counter(position for position in order if LABELS[position] == 0).values()) == 1


def test_what_does_not_divide_goes_to_classes_by_chance():
    labels = torch.tensor([0, 0, 0, 1, 2])
    extra = set()
    for seed in range(20):
        order = balanced_order(labels, torch.Generator().manual_seed(seed))
        counts = Counter(labels[order].tolist())
        assert sorted(counts.values()) == [1, 2, 2]
        extra |= {label for label, count in counts.items() if count == 2}
    assert extra == {0, 1, 2}


def test_batches_are_a_function_of_seed_and_epoch():
    def order(seed, epoch, start=0):
        sampler = EpochSampler(len(LABELS), 8, seed, train=True, balance=LABELS)
        sampler.epoch, sampler.start = epoch, start
        return list(sampler)

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(1, 0)
    assert [p for k in order(0, 0) for _, p in k] != [p for k in order(0, 1) for _, p in k]
    assert order(0, 2, start=3) == order(0, 2)[3:]


def test_weights_make_classes_equal_and_leave_the_mean_as_it_is():
    weights = balanced_weights(LABELS, 4)
    counts = Counter(LABELS)
    assert len({round(weights[label] * count, 9) for label, count in counts.items()}) == 1
    assert sum(weights[label] for label in LABELS) / len(LABELS) == pytest.approx(1)
    assert weights[2] == 1
