import json

import pytest
import torch

from visiontrain.torchkit.metrics import ClassificationMetrics

CPU = torch.device("cpu")


def scores(predicted, classes):
    return torch.nn.functional.one_hot(torch.tensor(predicted), classes).float()


def test_by_hand(tmp_path):
    metrics = ClassificationMetrics(("cat", "dog", "sea lion"), CPU)
    metrics.update(scores([0, 0, 1], 3), torch.tensor([0, 1, 1]))
    metrics.update(scores([2, 0, 2], 3), torch.tensor([2, 2, 2]))
    found = metrics.compute()
    wanted = {
        "accuracy": 4 / 6,
        "precision/cat": 1 / 3, "precision/dog": 1.0, "precision/sea lion": 1.0,
        "recall/cat": 1.0, "recall/dog": 0.5, "recall/sea lion": 2 / 3,
        "f1/cat": 0.5, "f1/dog": 2 / 3, "f1/sea lion": 0.8,
        "precision_macro": 7 / 9, "recall_macro": 13 / 18,
        "f1_macro": (0.5 + 2 / 3 + 0.8) / 3, "f1_weighted": (0.5 + 2 * 2 / 3 + 3 * 0.8) / 6,
    }  # fmt: skip
    assert found == pytest.approx(wanted)
    written = metrics.write_confusion_matrix(tmp_path / "artifacts", epoch=7)
    assert [(path.name, kind) for path, kind in written] == [
        ("confusion_matrix.json", "confusion_matrix"), ("confusion_matrix.svg", "picture"),
    ]  # fmt: skip
    content = json.loads((tmp_path / "artifacts" / "confusion_matrix.json").read_text())
    assert content["matrix"] == [[1, 0, 0], [1, 1, 0], [1, 0, 2]]
    assert (content["epoch"], content["classes"]) == (7, ["cat", "dog", "sea lion"])


def test_top_five_only_where_it_says_something():
    few, many = (ClassificationMetrics([str(i) for i in range(n)], CPU) for n in (5, 8))
    few.update(torch.eye(5), torch.arange(5))
    assert "accuracy_top5" not in few.compute()
    ascending = torch.arange(8.0).repeat(8, 1)
    many.update(ascending, torch.arange(8))
    assert many.compute()["accuracy_top5"] == 5 / 8


def test_two_classes():
    metrics = ClassificationMetrics(("a", "b"), CPU)
    metrics.update(scores([0, 1, 1, 1], 2), torch.tensor([0, 0, 1, 1]))
    assert metrics.compute()["accuracy"] == 0.75


def test_a_class_that_no_image_has_counts_only_where_it_is_said():
    unseen, said = (ClassificationMetrics(("a", "b", "c"), CPU) for _ in range(2))
    unseen.update(scores([0, 1, 1, 1], 3), torch.tensor([0, 0, 1, 1]))
    said.update(scores([0, 2, 1, 1], 3), torch.tensor([0, 0, 1, 1]))
    without, wrong = unseen.compute(), said.compute()
    assert without["recall_macro"] == pytest.approx((0.5 + 1) / 2)
    assert wrong["recall_macro"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert wrong["f1_weighted"] == pytest.approx((2 / 3 + 1) / 2)
    for found in (without, wrong):
        assert {name.partition("/")[2] for name in found if "/" in name} == {"a", "b"}
