import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visiontrain.torchkit.metrics_multilabel import MultiLabelMetrics

CPU = torch.device("cpu")


def logits(rows):
    return torch.logit(torch.tensor(rows, dtype=torch.float64)).float()


def test_by_hand():
    metrics = MultiLabelMetrics(("sea", "sky", "sea lion"), CPU)
    metrics.update(logits([[0.9, 0.2, 0.1], [0.8, 0.6, 0.1]]), torch.tensor([[1.0, 1, 0], [0, 1, 0]]))
    metrics.update(logits([[0.3, 0.7, 0.1], [0.1, 0.4, 0.1]]), torch.tensor([[1.0, 0, 0], [0, 0, 0]]))
    # sea: by probability right, wrong, right: 1/1 and 2/3; sky: wrong, right, wrong, right: 1/2 and 2/4
    wanted = {
        "map": ((1 + 2 / 3) / 2 + 0.5) / 2,
        "average_precision/sea": (1 + 2 / 3) / 2, "average_precision/sky": 0.5,
        "precision/sea": 0.5, "precision/sky": 0.5,
        "recall/sea": 0.5, "recall/sky": 0.5, "f1/sea": 0.5, "f1/sky": 0.5,
        "precision_macro": 0.5, "recall_macro": 0.5, "f1_macro": 0.5, "f1_weighted": 0.5,
    }  # fmt: skip
    assert metrics.compute() == pytest.approx(wanted)


def test_a_label_that_is_said_of_no_image_that_has_it_counts_against_the_model():
    metrics = MultiLabelMetrics(("a", "b"), CPU)
    metrics.update(logits([[0.9, 0.9], [0.9, 0.1]]), torch.tensor([[1.0, 0], [1, 0]]))
    found = metrics.compute()
    assert (found["map"], found["f1_macro"], found["f1_weighted"]) == (1.0, 0.5, 1.0)


def test_a_split_without_any_label_has_no_average_precision():
    metrics = MultiLabelMetrics(("a", "b"), CPU)
    metrics.update(logits([[0.1, 0.2]]), torch.zeros(1, 2))
    found = metrics.compute()
    assert math.isnan(found["map"])
    assert found["f1_macro"] == 0.0
    assert not [name for name in found if name.startswith("average_precision/")]


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30))
def test_average_precision_is_what_its_definition_says(rows):
    """The sum over thresholds of precision times the growth of recall; equal scores fall together."""
    metrics = MultiLabelMetrics(("x", "y"), CPU)
    scores = torch.tensor([[score / 8 + 0.05, 0.5] for score, _ in rows])
    truths = torch.tensor([[float(truth), 1.0] for _, truth in rows])
    metrics.update(torch.logit(scores), truths)
    found = metrics.compute()
    positives = sum(truth for _, truth in rows)
    expected, before = 0.0, 0
    for threshold in sorted({score for score, _ in rows}, reverse=True):
        said = [truth for score, truth in rows if score >= threshold]
        expected += sum(said) / len(said) * (sum(said) - before) / max(1, positives)
        before = sum(said)
    if positives:
        assert found["average_precision/x"] == pytest.approx(expected, abs=1e-5)
        assert found["map"] == pytest.approx((expected + 1) / 2, abs=1e-5)
    else:
        assert "average_precision/x" not in found
        assert found["map"] == pytest.approx(1.0)
