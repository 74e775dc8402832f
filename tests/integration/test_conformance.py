"""The project's own plugins pass the conformance kit, as it is given to the authors of others."""

from __future__ import annotations

from typing import ClassVar

import pytest

from visiontrain.testing import PluginConformance
from visiontrain.testing.checks.borders import Borders
from visiontrain.testing.checks.using import Using


@pytest.mark.timeout(1800)
class TestTimm(PluginConformance):
    framework = "timm"
    model = "test_resnet"
    options: ClassVar = {"workers": 0}
    varying = ("position.seconds",)


@pytest.mark.timeout(1800)
class TestYoloDetects(PluginConformance):
    framework = "yolo"
    model = "yolo26n"
    task = "detect"
    options: ClassVar = {"workers": 0}
    image_size = 64
    varying = ("position.seconds",)


class YoloTask(Borders, Using):
    """What another task changes: training, evaluating and predicting, within the plugin's borders.

    Stopping and exporting of each task is tested inside the environment, by the plugin's tests: in a tenth of the time.
    """

    framework = "yolo"
    options: ClassVar = {"workers": 0}
    image_size = 64
    varying = ("position.seconds",)
    test_exports_are_files_and_their_difference = None


@pytest.mark.timeout(1800)
class TestYoloSegments(YoloTask):
    model = "yolo11n-seg"
    task = "segment"


@pytest.mark.timeout(1800)
class TestYoloFindsPoses(YoloTask):
    model = "yolo26n-pose"
    task = "pose"
    images_per_class = 24  # there is one class


@pytest.mark.timeout(1800)
class TestYoloFindsTurnedBoxes(YoloTask):
    model = "yolov8n-obb"
    task = "obb"


@pytest.mark.timeout(1800)
class TestYoloClassifies(YoloTask):
    model = "yolo26n-cls"
    task = "classify"


@pytest.mark.timeout(1800)
class TestHfClassifies(PluginConformance):
    framework = "hf"
    model = "vit-tiny"
    options: ClassVar = {"workers": 0}
    varying = ("position.seconds",)


@pytest.mark.timeout(1800)
class TestHfDetects(PluginConformance):
    framework = "hf"
    model = "rtdetr-tiny"
    task = "detect"
    options: ClassVar = {"workers": 0}
    image_size = 64
    varying = ("position.seconds",)


@pytest.mark.timeout(1800)
class TestHfSegmentsByClass(PluginConformance):
    framework = "hf"
    model = "segformer-tiny"
    task = "semantic"
    options: ClassVar = {"workers": 0}
    image_size = 64
    varying = ("position.seconds",)


@pytest.mark.timeout(1800)
class TestHfSegments(PluginConformance):
    framework = "hf"
    model = "mask2former-tiny"
    task = "segment"
    options: ClassVar = {"workers": 0, "learning_rate": 2e-3}  # so that it finds something
    image_size = 64
    varying = ("position.seconds",)


@pytest.mark.timeout(1800)
class TestHfSegmentsByClassWithMasks(Borders, Using):
    """Stopping is tested inside the environment, by the plugin's tests: in a tenth of the time."""

    framework = "hf"
    model = "mask2former-tiny"
    task = "semantic"
    options: ClassVar = {"workers": 0}
    image_size = 64
    varying = ("position.seconds",)
