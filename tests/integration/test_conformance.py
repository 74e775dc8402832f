"""The project's own plugins pass the conformance kit, as it is given to the authors of others."""

from __future__ import annotations

from typing import ClassVar

import pytest

from visiontrain.testing import PluginConformance
from visiontrain.testing.checks.borders import Borders
from visiontrain.testing.checks.using import Using

pytestmark = pytest.mark.timeout(1800)

# A group a class: its tests share a training, which each worker of pytest-xdist would have to do again.


@pytest.mark.xdist_group("TestTimm")
class TestTimm(PluginConformance):
    framework = "timm"
    model = "test_resnet"
    options: ClassVar = {"workers": 0}
    varying = ("position.seconds",)


@pytest.mark.xdist_group("TestYoloDetects")
class TestYoloDetects(PluginConformance):
    framework = "yolo"
    model = "yolo26n"
    task = "detect"
    options: ClassVar = {"workers": 0}
    image_size = 64
    varying = ("position.seconds",)


class OtherTask(Borders, Using):
    """What another task changes: training, evaluating and predicting, within the plugin's borders.

    Stopping, failing and exporting of each task are tested inside the environment, by the plugin's tests: in a tenth of
    the time. What is printed beside a training goes the same way whatever the task.
    """

    options: ClassVar = {"workers": 0}
    image_size = 64
    varying = ("position.seconds",)
    test_exports_are_files_and_their_difference = None
    test_noise_does_not_break_the_protocol = None


@pytest.mark.xdist_group("TestYoloSegments")
class TestYoloSegments(OtherTask):
    framework = "yolo"
    model = "yolo11n-seg"
    task = "segment"


@pytest.mark.xdist_group("TestYoloFindsPoses")
class TestYoloFindsPoses(OtherTask):
    framework = "yolo"
    model = "yolo26n-pose"
    task = "pose"
    images_per_class = 24  # there is one class


@pytest.mark.xdist_group("TestYoloFindsTurnedBoxes")
class TestYoloFindsTurnedBoxes(OtherTask):
    framework = "yolo"
    model = "yolov8n-obb"
    task = "obb"


@pytest.mark.xdist_group("TestYoloClassifies")
class TestYoloClassifies(OtherTask):
    framework = "yolo"
    model = "yolo26n-cls"
    task = "classify"


@pytest.mark.xdist_group("TestHfClassifies")
class TestHfClassifies(PluginConformance):
    framework = "hf"
    model = "vit-tiny"
    options: ClassVar = {"workers": 0}
    varying = ("position.seconds",)


@pytest.mark.xdist_group("TestHfDetects")
class TestHfDetects(OtherTask):
    framework = "hf"
    model = "rtdetr-tiny"
    task = "detect"


@pytest.mark.xdist_group("TestHfSegmentsByClass")
class TestHfSegmentsByClass(OtherTask):
    framework = "hf"
    model = "segformer-tiny"
    task = "semantic"


@pytest.mark.xdist_group("TestHfSegments")
class TestHfSegments(OtherTask):
    framework = "hf"
    model = "mask2former-tiny"
    task = "segment"
    options: ClassVar = {"workers": 0, "learning_rate": 2e-3}  # so that it finds something


@pytest.mark.xdist_group("TestHfSegmentsByClassWithMasks")
class TestHfSegmentsByClassWithMasks(OtherTask):
    framework = "hf"
    model = "mask2former-tiny"
    task = "semantic"
