"""Images with any number of labels: what is learnt, reported, kept and refused."""

import json
import math
import random
import sqlite3

import pytest
import torch
from PIL import Image, ImageDraw

from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA
from visiontrain.errors import SpecError
from visiontrain_timm.multilabel import MultiLabelClassifier

COLOURS = {"blue": (40, 40, 230), "green": (30, 200, 40), "red": (230, 30, 30)}


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    """Discs of any of three colours on grey: 96 images to train on, 36 for validation; some with none."""
    folder = tmp_path_factory.mktemp("discs")
    rng = random.Random(5)
    database = sqlite3.connect(folder / "index.sqlite")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    splits = {"train": 96, "val": 36}
    for split, count in splits.items():
        for position in range(count):
            image = Image.new("RGB", (40, 40), tuple([rng.randrange(60, 160)] * 3))
            pen = ImageDraw.Draw(image)
            for label, colour in enumerate(COLOURS.values()):
                if rng.random() < 0.4:
                    x, y = rng.randrange(26), rng.randrange(26)
                    pen.ellipse((x, y, x + 13, y + 13), fill=colour)
                    database.execute("INSERT INTO labels VALUES (?, ?, ?)", (split, position, label))
            image.save(folder / f"{split}{position}.png")
            row = (split, position, json.dumps(f"{split}{position}.png"), 40, 40, None, b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    meta = {"fingerprint": "discs", "task": "classify", "format": "label-file", "root": json.dumps(str(folder))}
    meta |= {"classes": json.dumps(list(COLOURS)), "splits": json.dumps(splits), "multi_label": "true"}
    database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    database.commit()
    database.close()
    return folder / "index.sqlite"


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
        return float(learner.loss(batch)[0])

    def by_hand(score, target):
        p = 1 / (1 + math.exp(-score))
        return -target * math.log(p) - (1 - target) * math.log(1 - p)

    a, b = by_hand(2, 1) + by_hand(0, 0), by_hand(-1, 0) + by_hand(3, 1)
    assert loss() == pytest.approx((a + b) / 4)
    assert loss(weights=(3.0, 1.0)) == pytest.approx((3 * a + b) / 2 / 4)
    smooth = by_hand(2, 0.9) + by_hand(-1, 0.1) + by_hand(0, 0.1) + by_hand(3, 0.9)
    assert loss(smoothing=0.2) == pytest.approx(smooth / 4)
