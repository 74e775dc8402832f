from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
from visiontrain_harness.runs import record

from visiontrain.checkpoint_specs import EvaluateSpec, ExportSpec
from visiontrain.errors import DatasetError, SpecError
from visiontrain.runners import using

TRAINED = dataclasses.replace(
    record("r"), data=dataclasses.replace(record("r").data, fingerprint="own", classes=("a", "b"))
)


def data(*splits, own=False, carved=False, **fields):
    return SimpleNamespace(
        **{"source": "/d", "fingerprint": "own" if own else "other", "multi_label": False, "classes": ("a", "b")}
        | fields,
        splits=dict.fromkeys(splits, 3),
        carved=carved,
    )


@pytest.mark.parametrize(
    ("dataset", "wanted", "splits"),
    [
        (data("train", "val", "test"), None, ("test",)),
        (data("train", "val", own=True), None, ("val",)),
        (data("train", "val", own=True, carved=True), None, ("val",)),
        (data("train", "val"), None, ("val",)),
        # What was carved off other data is no split of it: none of it was trained on.
        (data("train", "val", carved=True), None, ("train", "val")),
        (data("test", carved=True), None, ("test",)),
        (data("train"), None, ("train",)),
        (data("train", "val", "test"), "train", ("train",)),
        (data("train", "val", "test"), "all", ("train", "val", "test")),
        (data("train", "val", carved=True), "all", ("train", "val")),
    ],
)
def test_what_was_not_trained_on_is_evaluated_on(dataset, wanted, splits):
    assert using._splits(wanted, dataset, TRAINED) == splits


@pytest.mark.parametrize(
    ("dataset", "wanted", "words"),
    [
        (data("train", "val"), "test", "/d has no split test; it has: train, val"),
        (data("train", "val", carved=True), "val", "/d has no split val; it has none"),
    ],
)
def test_a_split_that_is_not_there(dataset, wanted, words):
    with pytest.raises(SpecError, match=words) as caught:
        using._splits(wanted, dataset, TRAINED)
    assert "say all" in caught.value.instruction


def test_classes_may_be_fewer_and_in_another_order():
    using._check_classes(data("val", classes=("b", "a")), TRAINED)
    using._check_classes(data("val", classes=("b",)), TRAINED)


def test_classes_that_the_model_does_not_know_are_named():
    with pytest.raises(DatasetError, match="/d has the class c, which the run r was not trained on") as caught:
        using._check_classes(data("val", classes=("a", "c")), TRAINED)
    assert "It knows the classes a, b." in caught.value.instruction
    many = tuple(f"n{number}" for number in range(12))
    with pytest.raises(DatasetError, match=r"the classes n0, .*, n9 and 2 more"):
        using._check_classes(data("val", classes=many), TRAINED)


def test_several_labels_where_there_was_one():
    with pytest.raises(
        DatasetError, match="any number of labels each, and the run r was trained on images of one label"
    ):
        using._check_classes(data("val", multi_label=True), TRAINED)


def test_changed_data_may_be_named_to_say_that_it_is_known():
    trained = dataclasses.replace(TRAINED, data=dataclasses.replace(TRAINED.data, path="/my data"))
    using._check_unchanged(data("val", own=True), trained)
    with pytest.raises(DatasetError, match="is not what it was") as caught:
        using._check_unchanged(data("val"), trained)
    assert "visiontrain evaluate r '/my data'" in caught.value.instruction


def test_only_a_folder_with_nothing_in_it_is_exported_to(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for free in (None, tmp_path / "new", tmp_path / "empty"):
        using._check_free(free)
    for taken in (tmp_path, tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SpecError, match="is no empty folder"):
            using._check_free(taken)


@pytest.mark.parametrize(
    ("spec", "as_for_training"),
    [
        (EvaluateSpec(run="r"), True),
        (EvaluateSpec(run="r", data="/other"), False),
        (ExportSpec(run="r", format="onnx"), False),  # any images will do
    ],
)
def test_the_training_s_own_data_is_read_as_it_was_for_training(monkeypatch, tmp_path, spec, as_for_training):
    asked = []

    def index(source, **options):
        asked.append(options["for_training"])
        return data("train", "val", own=True, uncommon=0)

    monkeypatch.setattr(using, "index_dataset", index)
    trained = dataclasses.replace(TRAINED, data=dataclasses.replace(TRAINED.data, path=str(tmp_path)))
    home = SimpleNamespace(prepare=lambda: None, datasets=tmp_path)
    using._dataset(
        SimpleNamespace(home=home), SimpleNamespace(record=trained), spec, SimpleNamespace(indexing=lambda _: None)
    )
    assert asked == [as_for_training]
