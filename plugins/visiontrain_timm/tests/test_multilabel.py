"""Images with any number of labels: what is learnt, reported, kept and refused."""

import math

import pytest
import torch

from visiontrain.errors import SpecError
from visiontrain.torchkit.classification.multilabel import MultiLabelClassifier

COLOURS = ("blue", "green", "red")


@pytest.fixture
def several(harness, discs):
    harness.index = discs
    return harness


def test_it_learns_far_above_chance(several):
    result, context = several.train(model="resnet18", epochs=8, image_size=40, batch_size=16, learning_rate=2e-3)
    first = context.rows[0]
    assert result.metrics["map"] > 0.9  # chance is the labels' share, 0.4
    assert result.metrics["f1_macro"] > 0.8
    assert result.metrics["map"] == max(row["map"] for row in context.rows)
    assert context.rows[-1]["val_loss"] < first["val_loss"]


def test_what_a_run_reports(several):
    result, context = several.train(epochs=1)
    (row,) = context.rows
    per_class = {f"{n}/{c}" for n in ("average_precision", "precision", "recall", "f1") for c in COLOURS}
    wanted = {"train_loss", "val_loss", "learning_rate", "map", "precision_macro", "recall_macro", "f1_macro"}
    assert set(row) == wanted | {"f1_weighted"} | per_class
    assert all(math.isfinite(value) for value in row.values())
    assert set(result.metrics) == {*row, "images_per_second"}
    assert context.of("artifact") == []
    metadata = several.best()["metadata"]
    assert (metadata["multi_label"], metadata["classes"]) == (True, ["blue", "green", "red"])


def test_data_of_one_label_says_so_in_its_checkpoint(harness):
    harness.train(epochs=1)
    assert harness.best()["metadata"]["multi_label"] is False


def test_resuming_is_exact(several):
    _, whole = several.train("whole", epochs=2)
    _, first = several.train("parts", epochs=2, interrupt=lambda phase, epoch, step: (epoch, step) == (2, 3))
    _, second = several.train("parts", epochs=2, resume=True)
    assert [*first.rows, *second.rows] == whole.rows
    assert second.of("resumed")[0]["exact"]


@pytest.mark.parametrize("options", [{"mixup": 0.3}, {"cutmix": 1.0}, {"label_smoothing": 0.0}, {"ema_decay": 0.9}])
def test_options_of_one_label_work_with_several(several, options):
    _, plain = several.train("plain", epochs=1)
    _, changed = several.train("changed", epochs=1, options=options)
    assert plain.rows != changed.rows
    assert math.isfinite(changed.rows[0]["train_loss"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"balanced_sampling": True}, "balanced_sampling: needs images of one class each"),
        ({"class_weights": "balanced"}, "class_weights: can't be balanced with multi-label data"),
        ({"primary_metric": "accuracy"}, "primary_metric: can't be accuracy: the images have any number of labels"),
    ],
)
def test_what_has_no_meaning_is_refused(several, options, words):
    with pytest.raises(SpecError, match=words):
        several.train(options=options)
    assert not (several.folder / "run" / "checkpoints").exists()


def test_map_needs_several_labels(harness):
    with pytest.raises(SpecError, match="primary_metric: can't be map: the images have one class each"):
        harness.train(options={"primary_metric": "map"})


class Fixed(torch.nn.Module):
    """Gives the same scores whatever it sees."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def forward(self, _images):
        return self.scores


def test_the_loss_by_hand():
    from visiontrain.torchkit.data import ImageBatch

    scores, targets = torch.tensor([[2.0, -1.0], [0.0, 3.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    batch = ImageBatch(torch.zeros(2, 4, 4, 3, dtype=torch.uint8), targets)

    def loss(smoothing=0.0, weights=None):
        learner = MultiLabelClassifier(
            Fixed(scores), ("a", "b"), lambda pixels: pixels, torch.device("cpu"),
            label_smoothing=smoothing, weights=weights,
        )  # fmt: skip
        return float(next(learner.losses(batch, [slice(0, 2)])))

    def by_hand(score, target):
        p = 1 / (1 + math.exp(-score))
        return -target * math.log(p) - (1 - target) * math.log(1 - p)

    a, b = by_hand(2, 1) + by_hand(0, 0), by_hand(-1, 0) + by_hand(3, 1)
    assert loss() == pytest.approx((a + b) / 4)
    assert loss(weights=(3.0, 1.0)) == pytest.approx((3 * a + b) / 2 / 4)
    smooth = by_hand(2, 0.9) + by_hand(-1, 0.1) + by_hand(0, 0.1) + by_hand(3, 0.9)
    assert loss(smoothing=0.2) == pytest.approx(smooth / 4)
