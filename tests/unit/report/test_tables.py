from visiontrain.report.tables import class_names, class_table, history_names, history_table

CLASSES = {"cat": {"recall": 0.5, "map50": 0.25}, "dog": {"recall": 1.0}}
EPOCHS = [
    {"epoch": 1.0, "step": 1000, "accuracy": 0.5},
    {"epoch": 2.0, "step": 2000, "accuracy": 0.75, "train_loss": 2.0},
]


def test_a_row_a_class_with_gaps_where_a_metric_is_not_known():
    assert class_names(CLASSES, "map50") == ["map50", "recall"]
    table = class_table(CLASSES, ["map50", "recall"])
    assert table.head == ["class", "map50", "recall"]
    assert table.rows == [["cat", "0.2500", "0.5000"], ["dog", "", "1.0000"]]


def test_a_row_an_epoch_with_the_losses_first():
    assert history_names(EPOCHS, "accuracy") == ["train_loss", "accuracy"]
    table = history_table(EPOCHS, ["train_loss", "accuracy"])
    assert table.head == ["epoch", "step", "train_loss", "accuracy"]
    assert table.rows == [["1", "1,000", "", "0.5000"], ["2", "2,000", "2.0000", "0.7500"]]


def test_columns_are_those_that_are_asked_for():
    assert history_table(EPOCHS, ["accuracy"]).rows[0] == ["1", "1,000", "0.5000"]
    assert class_table({}, []).rows == []
