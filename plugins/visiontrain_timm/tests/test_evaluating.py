"""A checkpoint's numbers: those of its training, on any data whose classes it knows."""

import json
import shutil
import sqlite3

import pytest
import torch

from visiontrain.errors import DatasetError, WeightsError
from visiontrain.torchkit.checkpoint import read_checkpoint, write_checkpoint
from visiontrain.torchkit.classification.learner import Classifier


def numbers(metrics):
    return {name: value for name, value in metrics.items() if name != "images_per_second"}


def best_row(harness, context):
    epoch = harness.best()["epoch"]
    (row,) = (event["values"] for event in context.of("metrics") if event["epoch"] == epoch)
    return {name: v for name, v in row.items() if name not in ("train_loss", "learning_rate", "images_per_second")}


def changed(index, folder, classes):
    """The same data with its classes in another order, or fewer of them with their images alone."""
    path = folder / "other.sqlite"
    shutil.copy(index, path)
    database = sqlite3.connect(path)
    meta = dict(database.execute("SELECT key, value FROM meta"))
    before, splits = json.loads(meta["classes"]), {}
    for split in json.loads(meta["splits"]):
        rows = list(database.execute("SELECT * FROM images WHERE split = ? ORDER BY position", (split,)))
        kept = [row for row in rows if before[row[5]] in classes]
        database.execute("DELETE FROM images WHERE split = ?", (split,))
        for number, row in enumerate(kept):
            values = (split, number, *row[2:5], classes.index(before[row[5]]), b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        splits[split] = len(kept)
    database.execute("UPDATE meta SET value = ? WHERE key = 'classes'", (json.dumps(classes),))
    database.execute("UPDATE meta SET value = ? WHERE key = 'splits'", (json.dumps(splits),))
    database.commit()
    database.close()
    return path


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("test_resnet", {}),
        ("test_vit", {"precision": "auto", "workers": 1}),
        ("test_resnet", {"ema_decay": 0.9, "precision": "bf16"}),
        ("test_resnet", {"channels_last": False, "mean": "0.4", "interpolation": "nearest", "drop_rate": 0.3}),
    ],
)
def test_the_best_checkpoint_has_the_numbers_of_its_epoch(harness, model, options):
    _, trained = harness.train(model=model, epochs=3, options=options, learning_rate=3e-3)
    result, context = harness.evaluate(options=options)
    assert result.status == "completed"
    assert numbers(result.metrics) == best_row(harness, trained)
    assert result.metrics["images_per_second"] > 0
    artifacts = {event["path"]: event["kind"] for event in context.events if event["type"] == "artifact"}
    assert artifacts == {
        "artifacts/confusion_matrix.json": "confusion_matrix", "artifacts/confusion_matrix.svg": "picture",
    }  # fmt: skip
    for path in artifacts:
        ours, theirs = ((harness.folder / folder / path).read_bytes() for folder in ("run-evaluated", "run"))
        assert ours == theirs


@pytest.mark.parametrize("decay", [0, 0.9])
def test_the_last_checkpoint_has_the_numbers_of_the_last_epoch(harness, decay):
    options = {"ema_decay": decay}
    _, trained = harness.train(epochs=2, options=options)
    result, _ = harness.evaluate(file="last.pt", options=options)
    assert numbers(result.metrics).items() <= trained.rows[-1].items()


def test_an_average_that_was_kept_is_what_is_evaluated_whatever_the_options_say(harness):
    _, trained = harness.train(epochs=2, options={"ema_decay": 0.9})
    result, _ = harness.evaluate(file="last.pt")
    assert numbers(result.metrics).items() <= trained.rows[-1].items()


def test_all_splits_that_are_asked_for_are_taken_together(trained):
    (both, context), (train, _), (val, _) = (
        trained.evaluate(splits=splits) for splits in (("train", "val"), ("train",), ("val",))
    )
    for name in ("accuracy", "val_loss"):
        together = (39 * train.metrics[name] + 15 * val.metrics[name]) / 54
        assert both.metrics[name] == pytest.approx(together, rel=1e-6)
    steps = [event for event in context.events if event["type"] == "progress"]
    assert {(event["phase"], event["steps"]) for event in steps} == {("evaluate", 5 + 2)}
    assert steps[-1]["step"] == 7


def test_classes_are_found_by_name(trained, tmp_path):
    plain, _ = trained.evaluate()
    other, _ = trained.evaluate(dataset=str(changed(trained.index, tmp_path, ["triangle", "circle", "square"])))
    assert numbers(other.metrics) == numbers(plain.metrics)


def test_classes_that_the_data_lacks_count_only_where_they_are_predicted(trained, tmp_path):
    result, _ = trained.evaluate(dataset=str(changed(trained.index, tmp_path, ["square", "circle"])))
    matrix = json.loads((trained.folder / "run-evaluated" / "artifacts" / "confusion_matrix.json").read_text())
    assert matrix["classes"] == ["circle", "square", "triangle"]
    counts = torch.tensor(matrix["matrix"]).double()
    assert counts[2].sum() == 0
    assert result.metrics["accuracy"] == pytest.approx(float(counts.trace() / 10))
    recall = (counts.diag() / counts.sum(1).clamp(min=1))[counts.sum(0) + counts.sum(1) > 0]
    assert result.metrics["recall_macro"] == pytest.approx(float(recall.mean()))
    assert {name for name in result.metrics if "/" in name} == {
        f"{name}/{c}" for name in ("precision", "recall", "f1") for c in ("circle", "square")
    }


def test_a_class_that_the_checkpoint_does_not_know_is_named(trained, tmp_path, make_index):
    other = make_index(tmp_path / "hexagons", train=1, val=1, side=36, classes=("circle", "hexagon", "square"))
    with pytest.raises(DatasetError, match=r"'hexagon', which .*best.pt does not know") as caught:
        trained.evaluate(dataset=str(other))
    assert "'circle', 'square', 'triangle'" in caught.value.instruction


def test_a_split_without_images_is_an_error_that_says_what_there_is(trained):
    with pytest.raises(DatasetError, match="no images in its split test") as caught:
        trained.evaluate(splits=("val", "test"))
    assert caught.value.instruction == "It has train (39), val (15)."


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stop_ends_it_between_two_batches_without_numbers(trained, workers):
    result, context = trained.evaluate(splits=("train",), options={"workers": workers}, stop_at=2)
    assert (result.status, result.metrics) == ("stopped", {})
    assert not any(event["type"] == "artifact" for event in context.events)


def test_several_labels(harness, discs, tmp_path):
    harness.index = discs
    _, trained = harness.train(epochs=2)
    result, context = harness.evaluate()
    assert numbers(result.metrics) == best_row(harness, trained)
    assert not any(event["type"] == "artifact" for event in context.events)
    path = tmp_path / "fewer.sqlite"
    shutil.copy(discs, path)
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = ? WHERE key = 'classes'", (json.dumps(["blue", "red"]),))
    database.execute("UPDATE meta SET value = ? WHERE key = 'root'", (json.dumps(str(discs.parent)),))
    database.execute("DELETE FROM labels WHERE label = 1")
    database.execute("UPDATE labels SET label = 1 WHERE label = 2")
    database.commit()
    database.close()
    fewer, _ = harness.evaluate(dataset=str(path))
    for name in ("average_precision/blue", "recall/red"):
        assert fewer.metrics[name] == result.metrics[name]
    assert not any(name.endswith("/green") for name in fewer.metrics)
    shares = [fewer.metrics[f"average_precision/{name}"] for name in ("blue", "red")]
    assert fewer.metrics["map"] == pytest.approx(sum(shares) / 2)


def test_data_of_another_kind_is_refused(trained, discs):
    with pytest.raises(DatasetError, match=r"any number of labels, and .*best.pt was trained on .* one class each"):
        trained.evaluate(dataset=str(discs))


def test_a_checkpoint_that_is_missing_or_damaged_is_an_error_that_says_so(trained):
    with pytest.raises(WeightsError, match=r"nothing.pt can't be read: .*No such file"):
        trained.evaluate(file="nothing.pt")
    path = trained.path()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"best.pt can't be used: the checksum of .* is wrong"):
        trained.evaluate()


def test_a_checkpoint_of_something_else_is_refused(trained):
    for change, words in (
        ({"framework": "other"}, "is of other for the task classify, not of timm"),
        ({"task": "detect"}, "for the task detect, not of timm for classify"),
        ({"architecture": "resnet19"}, "the model of .* can't be built: timm .* has no model 'resnet19'"),
        ({"architecture": "test_vit"}, "does not fit test_resnet as this environment builds it"),
        ({"classes": ["a", "b"]}, "does not fit test_resnet"),
        ({"image": {"size": 3}}, "does not say how its model is built"),
        ({"arguments": {"wings": 2}}, "can't be built: .*wings"),
    ):
        payload = read_checkpoint(trained.path())
        payload["metadata"].update(change)
        write_checkpoint(trained.path(file="changed.pt"), payload)
        with pytest.raises(WeightsError, match=words):
            trained.evaluate(file="changed.pt")


@pytest.fixture
def little_memory(monkeypatch):
    """There is room for three images at once."""

    def forward(self, images, original=Classifier.logits):
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return original(self, images)

    monkeypatch.setattr(Classifier, "logits", forward)


def test_where_memory_is_short_it_takes_fewer_at_once_and_says_so(trained, little_memory):
    result, context = trained.evaluate()
    assert result.status == "completed"
    assert "Out of memory at 8 images: beginning anew with 2 x 4 at once." in context.logged
    assert "Out of memory at 8 images: beginning anew with 4 x 2 at once." in context.logged
    matrix = json.loads((context.artifacts_dir / "confusion_matrix.json").read_text())["matrix"]
    assert sum(map(sum, matrix)) == 15


def test_a_checkpoint_of_another_version_is_refused(trained):
    payload = read_checkpoint(trained.path())
    del payload["metadata"]["architecture"]
    write_checkpoint(trained.path(), payload)
    with pytest.raises(WeightsError, match="does not say how its model is built: it has no 'architecture'"):
        trained.evaluate()


def test_an_image_that_can_not_be_read_is_named(trained, make_index, tmp_path):
    index = make_index(tmp_path / "damaged", train=1, val=1, side=36)
    (tmp_path / "damaged" / "val" / "1.jpg").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"val/1.jpg: can't be decoded"):
        trained.evaluate(dataset=str(index))
