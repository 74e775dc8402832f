"""One name a number."""

from __future__ import annotations

import pytest

from visiontrain.protocol.metrics import METRICS, is_canonical
from visiontrain.protocol.tasks import PRIMARY_METRIC, Task


@pytest.mark.parametrize("task", Task)
def test_the_primary_metric_is_among_them(task):
    assert is_canonical(PRIMARY_METRIC[task], task)
    assert is_canonical("train_loss", task)


def test_there_are_names_for_every_task():
    assert set(METRICS) == set(Task)


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("precision/cat", Task.classify, True),
        ("precision/a/b", Task.classify, True),
        ("accuracy/", Task.classify, False),
        ("loss/train", Task.classify, False),
        ("val_acc", Task.classify, False),
        ("map50_95_mask", Task.segment, True),
        ("map50_95_mask", Task.detect, False),
        ("recall_at_5_text_to_image", Task.embed, True),
        ("accuracy", Task.detect, False),
        ("train_box_loss", Task.detect, True),
        ("val_sem_loss", Task.segment, True),
        ("train__loss", Task.detect, False),
        ("test_box_loss", Task.detect, False),
    ],
)
def test_names(name, task, expected):
    assert is_canonical(name, task) is expected
