from visiontrain.report.metrics import ordered, per_class, primary_metric

VALUES = {
    "learning_rate": 0.001,
    "accuracy_top5": 0.9,
    "accuracy": 0.5,
    "recall/cat": 0.25,
    "val_box_loss": 0.5,
    "val_loss": 1.5,
    "train_loss": 1.25,
}


def test_the_telling_ones_come_first_and_classes_not_at_all():
    assert ordered(VALUES, "accuracy") == [
        *("train_loss", "val_loss", "accuracy", "accuracy_top5", "val_box_loss", "learning_rate")
    ]


def test_values_by_class():
    assert per_class({"recall/a/b": 1.0, "f1/x": 0.5, "recall/x": 0.25, "accuracy": 1.0}) == {
        "a/b": {"recall": 1.0},
        "x": {"f1": 0.5, "recall": 0.25},
    }


def test_a_task_of_a_later_version_has_no_primary_metric():
    assert primary_metric("classify") == "accuracy"
    assert primary_metric("dream") is None
