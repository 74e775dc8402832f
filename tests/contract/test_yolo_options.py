"""Ultralytics' options, as the host declares them, are those that its trainer takes."""

from __future__ import annotations

import fnmatch
from dataclasses import fields

import pytest

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task
from visiontrain_yolo.contradictions import refuse_flips, refuse_for_model, refuse_for_task
from visiontrain_yolo.names import all_models, resolve_model
from visiontrain_yolo.options import OPTIMIZERS, YoloOptions
from visiontrain_yolo.plugin import MANIFEST

OPTIONS = {option.name: option for option in MANIFEST.options}


def test_each_is_declared_with_the_default_that_the_trainer_has():
    assert {name: option.default for name, option in OPTIONS.items()} == {
        f.name: f.default for f in fields(YoloOptions)
    }


@pytest.mark.parametrize("option", MANIFEST.options, ids=lambda option: option.name)
def test_each_has_bounds_and_a_line_of_help(option):
    assert option.help.endswith(".")
    assert "\n" not in option.help
    if option.type in ("int", "float"):
        assert option.minimum is not None


def test_every_default_stands_by_itself():
    assert YoloOptions.from_params({}) == YoloOptions()
    for name in OPTIMIZERS:
        YoloOptions.from_params({"optimizer": OPTIONS["optimizer"].check(name)})
    for task in MANIFEST.tasks:
        refuse_for_task(YoloOptions(), task)
    for model in all_models(MANIFEST.tasks):
        refuse_for_model(YoloOptions(), model.name)


@pytest.mark.parametrize(
    "options",
    [
        {"warmup_epochs": 0, "warmup_bias_lr": 0.1}, {"warmup_epochs": 0, "warmup_momentum": 0.5, "optimizer": "sgd"},
        {"warmup_momentum": 0.5, "optimizer": "adamw"}, {"close_mosaic": 3, "mosaic": 0},
    ],
)  # fmt: skip
def test_the_host_refuses_what_has_no_effect(options):
    with pytest.raises(SpecError, match="no effect"):
        MANIFEST.check_options({**{name: option.default for name, option in OPTIONS.items()}, **options})


@pytest.mark.parametrize(
    ("task", "name", "value"),
    [
        (Task.detect, "pose", 6.0), (Task.obb, "rle", 0.5), (Task.segment, "angle", 2.0), (Task.classify, "kobj", 2.0),
        (Task.classify, "mosaic", 0.5), (Task.classify, "max_det", 10), (Task.detect, "erasing", 0.0),
        (Task.detect, "copy_paste", 0.5), (Task.pose, "copy_paste", 0.5), (Task.segment, "dropout", 0.1),
    ],
)  # fmt: skip
def test_each_task_has_its_own(task, name, value):
    with pytest.raises(SpecError, match=f"no effect with the task {task}"):
        refuse_for_task(YoloOptions(**{name: value}), task)


def test_poses_are_mirrored_only_where_the_data_says_how():
    assert "not mirrored" in refuse_flips(YoloOptions())
    assert refuse_flips(YoloOptions(fliplr=0)) is None
    with pytest.raises(SpecError, match="fliplr"):
        refuse_flips(YoloOptions(fliplr=0.9))


def test_every_model_is_answered_to_and_no_other():
    names = [model.name for model in all_models(MANIFEST.tasks)]
    assert len(set(names)) == len(names) == 4 * 5 * 5 + 4
    assert {"rtdetr-l", "rtdetr-resnet101"} <= set(names)
    assert all(MANIFEST.answers_to(name) for name in names)
    tagged = [f"{model.name}.{model.published}" for model in all_models(MANIFEST.tasks) if model.published]
    assert len(tagged) == len(names) - 4 * 5 - 2  # none of YOLO12 but detectors, and none of two of RT-DETR's
    assert all(MANIFEST.answers_to(name) for name in tagged)
    assert resolve_model("yolo12n.coco", Task.detect, MANIFEST.tasks).name == "yolo12n"
    assert not any(
        fnmatch.fnmatchcase(name, pattern)
        for pattern in MANIFEST.models
        for name in (
            "yolo26z",
            "yolo26n.imagenet",
            "yolo12n-seg.coco",
            "rtdetr-resnet50.coco",
            "yolo11n-sem",
            "yolov5n",
            "resnet50",
            "yolo9",
            "rtdetr-s",
            "rtdetr_r18vd",
        )
    )
    assert MANIFEST.is_called("ultralytics")


@pytest.mark.parametrize(
    ("task", "model"),
    [("detect", "yolo26n"), ("segment", "yolo26n-seg"), ("pose", "yolo26n-pose"), ("obb", "yolo26n-obb"),
     ("classify", "yolo26n-cls")],
)  # fmt: skip
def test_yolo_alone_is_the_smallest_current_one(task, model):
    assert resolve_model("yolo", Task(task), MANIFEST.tasks).name == model
