from visiontrain.display.metrics import metrics_line

VALUES = {
    "learning_rate": 0.001,
    "accuracy_top5": 0.9,
    "accuracy": 0.5,
    "recall/cat": 0.25,
    "val_box_loss": 0.5,
    "val_loss": 1.5,
    "train_loss": 1.25,
}


def test_a_line_holds_what_fits():
    assert metrics_line(VALUES, "accuracy", limit=200).plain == (
        "train_loss 1.2500  val_loss 1.5000  accuracy 0.5000  accuracy_top5 0.9000  val_box_loss 0.5000"
    )
    assert metrics_line(VALUES, "accuracy", limit=40).plain == "train_loss 1.2500  val_loss 1.5000"
    assert metrics_line(VALUES, "accuracy", limit=1).plain == "train_loss 1.2500"
