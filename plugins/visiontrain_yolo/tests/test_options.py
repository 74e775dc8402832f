"""Every option has bounds and an effect, or is an error. Needs neither torch nor Ultralytics, but Ultralytics' file."""

import dataclasses
from importlib.resources import files

import pytest

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

from ultralytics.utils import YAML

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task
from visiontrain_yolo.names import MODEL_PATTERNS, all_models, resolve_model
from visiontrain_yolo.options import AUGMENTATIONS, GAINS, YoloOptions

TASKS = (Task.detect,)

#: Ours by their names where they differ.
RENAMED = {
    "final_rate": "lrf", "class_weights_power": "cls_pw", "multi_scale": "multi_scale", "momentum": None,
    "warmup_momentum": None, "warmup_bias_lr": None, "close_mosaic": None, "precision": None, "patience": None,
    "workers": None, "schedule": None, "accumulate": None, "clip_grad": None, "ema_decay": None, "freeze": None,
    "checkpoint_minutes": None, "nms": None,
}  # fmt: skip


def test_defaults_are_ultralytics_own():
    theirs = YAML.load(files("ultralytics") / "cfg" / "default.yaml")
    for field in dataclasses.fields(YoloOptions):
        name = RENAMED.get(field.name, field.name)
        if name is not None:
            assert field.default == theirs[name], field.name


def test_what_augmentation_and_losses_read_are_options():
    known = {field.name for field in dataclasses.fields(YoloOptions)}
    assert known.issuperset({*AUGMENTATIONS, *GAINS})


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"warmup_epochs": 0, "warmup_bias_lr": 0.1}, "warmup_bias_lr"),
        ({"warmup_epochs": 0, "warmup_momentum": 0.5, "optimizer": "sgd"}, "warmup_momentum"),
        ({"warmup_momentum": 0.5, "optimizer": "adamw"}, "warmup_momentum"),
        ({"close_mosaic": 3, "mosaic": 0}, "close_mosaic"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"imgsz": 640}, "imgsz"),
    ],
)
def test_options_without_effect_are_errors(options, name):
    with pytest.raises(SpecError) as caught:
        YoloOptions.from_params(options)
    assert caught.value.reason.startswith(name) or name in str(caught.value)


def test_images_are_single_ones_at_the_end():
    assert YoloOptions().first_closed_epoch(100) == 90
    assert YoloOptions().first_closed_epoch(5) == 0
    assert YoloOptions(close_mosaic=0).first_closed_epoch(100) == 100
    assert YoloOptions(mosaic=0).first_closed_epoch(100) == 100


def test_as_many_batches_as_have_64_images_make_a_step():
    assert [YoloOptions().accumulated(size, 10_000) for size in (1, 16, 24, 64, 128)] == [64, 4, 3, 1, 1]
    assert YoloOptions().scaled_weight_decay(16, 10_000) == pytest.approx(0.0005)
    assert YoloOptions().scaled_weight_decay(128, 10_000) == pytest.approx(0.001)


def test_of_few_batches_an_epoch_makes_twenty_steps():
    assert [YoloOptions().accumulated(16, batches) for batches in (5, 19, 40, 60, 79, 80)] == [1, 1, 2, 3, 3, 4]
    assert YoloOptions().scaled_weight_decay(16, 19) == pytest.approx(0.0005 / 4)
    assert YoloOptions(accumulate=8).accumulated(16, 19) == 8
    assert YoloOptions(accumulate=8).accumulated(16, 5) == 5


def test_names():
    names = [model.name for model in all_models(TASKS)]
    assert len(names) == len(set(names)) == 24
    assert {"yolo26n", "yolo11x", "yolo12m", "yolov8l", "rtdetr-l"} <= set(names)
    assert resolve_model("yolo", Task.detect, TASKS).name == "yolo26n"
    assert resolve_model("yolo11s", Task.detect, TASKS).name == "yolo11s"
    assert resolve_model("rtdetr-l.coco", Task.detect, TASKS).name == "rtdetr-l"
    assert "yolo" in MODEL_PATTERNS
    with pytest.raises(SpecError, match="there is no 'yolo26z'"):
        resolve_model("yolo26z", Task.detect, TASKS)
